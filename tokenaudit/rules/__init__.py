"""The accounting rules R3 to R8 for single lines: what each decides, and nothing of how lines are read or kept.

Each stands here once, in plain Python, for reading, the status line and explanations; `merge` is the
twin over frames, and one property holds the two to one meaning. Standard library alone, and no slow
import: the status line waits for these.
"""
