"""Other people's clients of the service, unmodified, at the emulator."""
