import time


def b():
    """time.sleep(1)"""
    wait("time.sleep(1)")  # time.sleep(1)
    time.sleep(1)
