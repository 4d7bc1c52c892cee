"""For courses: checks of the book's exercises, the data of its assignments, and grading.

    from lbgap.course import check
    check("box", my_function)

says whether an answer is right, and if not, what is wrong and why it may be. An answer is run, never compared as text.
No account and no network is needed. Each exercise is one function in the file of its chapter, in `exercises/`; the
assignments' are in `assignments`. `grading` needs Otter-Grader, lbgap[teach], on the teacher's side only.
"""

from . import assignments, exercises
from .checking import EXERCISES, Exercise, Verdict, catalogue, check

__all__ = ["EXERCISES", "Exercise", "Verdict", "assignments", "catalogue", "check", "exercises"]
