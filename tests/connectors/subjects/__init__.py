"""What the contract's tests are run on: a file a system, each with its SUBJECTS. Add a file, and it is tested."""
