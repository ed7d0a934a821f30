"""Connections of the API: listened for, accepted while there is room, read strictly."""
