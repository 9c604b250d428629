"""The interactive chat and its plain form for pipes."""
