"""One run on many GPUs and hosts: engines in processes of their own, started by Ray. The driver stays the one writer.

    driver    engine.py       an `Engine`: gives requests to workers, yields their answers, replaces dead workers
              ledger.py       which request is where, and what a worker's death means for it
              crew.py         starts, plans and replaces workers
              cluster.py      the workers, as actors of Ray
              ray_runtime.py  Ray itself: a private one on this host, or a cluster that is joined
    both      messages.py     what driver and worker say to each other
    worker    worker.py       one inner engine and one long `generate`, fed by small calls
              feed.py         the requests of that `generate`: ends after an idle moment

A worker is not trusted to live: whatever it has not answered is given to another one.
"""
