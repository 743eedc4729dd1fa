"""The processes of a server: who starts them, tells whether they work, starts them anew, and ends them in order."""
