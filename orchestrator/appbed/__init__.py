"""The application layer of the Internet in containers, measured."""
