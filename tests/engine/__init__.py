"""The engine, module by module, and its decisions as a whole."""
