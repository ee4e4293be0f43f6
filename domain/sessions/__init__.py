"""Sessions: a language, a script and a context that last."""
