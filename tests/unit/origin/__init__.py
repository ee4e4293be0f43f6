"""The origin's API over fakes."""
