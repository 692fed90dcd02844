"""What all checks share: one door for a learner's code, one way to wait, one report.

drill           Drill, Task: what an exercise opens
attempt         one run of a check
examination     Examination: handed to a check; the one door for the learner's code
sandbox         runs code that may raise, hang, block, exit or leave tasks behind
isolated        a learner's function in a separate process
waiting         until(condition, what, seconds)
pace            how busy the machine was during the check
connections     admin(server), usable(connection)
traffic         what the code says through asyncpg: counted, and kept for a replay
replay          draws it: drill[1].replay()
shop            the shop left as a check fails: await drill[1].open()
standing        where and how a check is halted for it
model           model answers and their figures: drill[1].solution()
report          what a check found, as text and as HTML
exercise_files  starters, and exercises made from solutions
"""
