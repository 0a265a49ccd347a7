"""The page loader: an instrument that loads a page as a chosen kind of browser would, and says when what happened."""
