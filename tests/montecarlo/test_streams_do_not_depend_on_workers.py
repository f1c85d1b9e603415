"""Replica i is the same network, bit for bit, whoever draws it and in whatever order."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from freefim.montecarlo import sample_networks
from freefim.montecarlo.dual import dual_matrix
from freefim.montecarlo.streams import replica_stream
from freefim.montecarlo.threads import ONE_BLAS_THREAD
from freefim.networks.activations import CustomActivation
from freefim.networks.network import Network

NET = Network(
    depth=3, activation="tanh", weights=["gaussian", "orthogonal", "gaussian"], bias_std=0.1
)
WIDTH, REPLICAS, SEED = 130, 5, 11


@pytest.fixture(scope="module")
def serial():
    return sample_networks(NET, WIDTH, REPLICAS, seed=SEED)


def assert_same_bits(one, other):
    np.testing.assert_array_equal(one.eigenvalues, other.eigenvalues)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.second_moments, second.second_moments)
        np.testing.assert_array_equal(first.shifts, second.shifts)
        for gate, other_gate in zip(first.gates, second.gates, strict=True):
            np.testing.assert_array_equal(gate, other_gate)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_threads_give_the_serial_bits(serial, workers):
    with ThreadPoolExecutor(workers) as executor:
        assert_same_bits(serial, sample_networks(NET, WIDTH, REPLICAS, SEED, executor=executor))


def test_spawned_processes_give_the_serial_bits(serial):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert_same_bits(serial, sample_networks(NET, WIDTH, REPLICAS, SEED, executor=executor))


@pytest.mark.filterwarnings("ignore")  # the warnings of a cluster's start are not ours
def test_dask_gives_the_serial_bits(serial):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        assert_same_bits(serial, sample_networks(NET, WIDTH, REPLICAS, SEED, executor=executor))


def test_a_replica_does_not_depend_on_how_many_are_drawn_or_in_what_order(serial):
    fewer = sample_networks(NET, WIDTH, 2, seed=SEED)
    np.testing.assert_array_equal(fewer.eigenvalues, serial.eigenvalues[:2])
    for index in (4, 0, 2):
        with ONE_BLAS_THREAD:
            dual, _ = dual_matrix(
                NET, WIDTH, None, range(1, 1 + NET.depth), replica_stream(SEED, index)
            )
            alone = np.linalg.eigvalsh(dual)
        np.testing.assert_array_equal(alone, serial[index].eigenvalues)


def test_replicas_and_seeds_are_different_networks(serial):
    other = sample_networks(NET, WIDTH, 1, seed=SEED + 1)
    rows = [*serial.eigenvalues, *other.eigenvalues]
    assert len({row.tobytes() for row in rows}) == REPLICAS + 1


def test_the_stream_is_the_spawned_child_of_the_seed():
    children = np.random.SeedSequence(SEED).spawn(4)
    want = np.random.Generator(np.random.PCG64(children[3])).standard_normal(5)
    np.testing.assert_array_equal(replica_stream(SEED, 3).standard_normal(5), want)


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blas_runs_on_one_thread_inside_replicas_and_as_before_after_them():
    seen = []

    def spy(h):
        seen.append(blas_threads())
        return h

    net = Network(2, CustomActivation(spy, np.ones_like))
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        seen.clear()
        with ThreadPoolExecutor(2) as executor:
            sample_networks(net, 5, 3, executor=executor)
        sample_networks(net, 5, 1)
        assert seen == [{1}] * 4
        assert blas_threads() == before


def test_the_limit_on_blas_lasts_to_its_last_holder():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with ONE_BLAS_THREAD:
            with ONE_BLAS_THREAD:
                pass
            assert blas_threads() == {1}
        assert blas_threads() == before


def test_blas_threads_are_restored_when_a_replica_fails():
    net = Network(3, "linear", weight_std=1e200)
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(ArithmeticError):
            sample_networks(net, 4, 1)
        assert blas_threads() == before


@pytest.mark.parametrize("workers", [None, 2])
def test_progress_counts_every_replica_in_order(workers):
    calls = []
    report = lambda done, total: calls.append((done, total))  # noqa: E731
    if workers is None:
        sample_networks(NET, 6, 3, progress=report)
    else:
        with ThreadPoolExecutor(workers) as executor:
            sample_networks(NET, 6, 3, executor=executor, progress=report)
    assert calls == [(1, 3), (2, 3), (3, 3)]
