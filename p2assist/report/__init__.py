"""What people look at: tables for the terminal, and the same as plain values for machines."""
