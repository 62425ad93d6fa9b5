"""ChatSession through its public names, over real sockets, at the emulator."""
