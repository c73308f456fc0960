"""The adapters of other systems: the contract that all of them keep, and hostile systems on loopback."""
