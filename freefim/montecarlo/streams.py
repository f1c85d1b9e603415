"""One random stream per replica, whoever draws it and in whatever order."""

from numpy.random import PCG64, Generator, SeedSequence

__all__ = ["replica_stream"]


def replica_stream(seed: int, index: int) -> Generator:
    """Return the generator from which every draw of one replica comes.

    Parameters
    ----------
    seed : int
        Seed of the whole sample, nonnegative.
    index : int
        Number of the replica, from 0.

    Returns
    -------
    numpy.random.Generator
        PCG64 seeded by ``SeedSequence(seed, spawn_key=(index,))``: the streams of distinct
        replicas are independent, and no stream depends on how many others are drawn.

    Examples
    --------
    It is the stream that spawning would give:

    >>> from numpy.random import PCG64, Generator, SeedSequence
    >>> spawned = Generator(PCG64(SeedSequence(7).spawn(3)[2]))
    >>> bool(replica_stream(7, 2).random() == spawned.random())
    True
    """
    return Generator(PCG64(SeedSequence(seed, spawn_key=(index,))))
