"""For who learns by doing: is my own version of an equation right, and if not, what is wrong?"""
