from appbed.cli import main

main()
