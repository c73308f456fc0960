"""The interface on 8123: the protocol, users' rights, its bounds, and other projects' clients."""
