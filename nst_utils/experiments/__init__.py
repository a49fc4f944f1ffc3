"""The paper's figures, and other projects' settings, as rows of the table."""
