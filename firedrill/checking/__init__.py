"""What all checks share: one door for a learner's code, one way to wait, one report.

drill           Drill, Task: what an exercise opens
examination     Examination: handed to a check; the one door for the learner's code
sandbox         runs code that may raise, hang, block, exit or leave tasks behind
isolated        a learner's function in a process of its own
waiting         until(condition, what, seconds)
pace            how busy the machine was during the check
connections     admin(server), usable(connection)
report          what a check found, as text and as HTML
exercise_files  starters, and exercises made from solutions
"""
