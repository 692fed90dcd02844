"""A folder for each topic of the course: its tasks, its errors, the programs that its tasks hand out. None imports another."""
