"""What boosters call: losses and metrics as each of them takes those, in our trainings and bare in the user's own."""
