"""What every other part may use: checks of values, whole files, messages, interrupts."""
