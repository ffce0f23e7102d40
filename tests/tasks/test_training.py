"""Which jobs share a training, and who of them trains."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import DictConfig

from semigan_pl.tasks import held as locks
from semigan_pl.tasks import training
from semigan_pl.tasks.held import held
from semigan_pl.tasks.training import LAST, TRAINED, has_trained, shared_training, training_hash
from tests.conftest import compose_config


@pytest.mark.parametrize(
    "typed",
    [
        "search=paper",
        "search.lambda_=0.3",
        "model.decision.score=critic",
        "objective=val/auroc_critic",
        "metrics=default",
        "logger=wandb",
        "name=another",
        "run=elsewhere",
        "checkpoint=last",
        "data.cache_dir=elsewhere",
        "callbacks.score_writer.examples=3",
    ],
)
def test_what_training_does_not_depend_on(typed: str) -> None:
    assert training_hash(compose_config(typed)) == training_hash(compose_config())


@pytest.mark.parametrize(
    "typed",
    [
        "seed=1",
        "model.gamma=0.7",
        "data.contamination=0.2",
        "data.known_anomalies=49",
        "data.root=elsewhere",
        "data.batch_size=16",
        "max_images=63968",
        "loss=hinge",
        "optimizer.generator.lr=0.001",
        "model=gan",
        "model.updates.accumulate=2",
        "network_sizes.small.width=8",
        "encoding=izi",
        "growth=doubling",
        "callbacks.generator_ema.half_life=1",
        "callbacks.growth.reset_optimizers=false",
        "trainer.precision=bf16-mixed",
        "trainer.devices=2",
        "block_size=32",
        "+model.a_new_option=1",
    ],
)
def test_what_training_depends_on(typed: str) -> None:
    assert training_hash(compose_config(typed)) != training_hash(compose_config())


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a multirun in which `shared_training` finds itself."""
    monkeypatch.setattr(training, "is_multirun", lambda: True)
    hydra = SimpleNamespace(sweep=SimpleNamespace(dir=str(tmp_path)))
    monkeypatch.setattr(training, "HydraConfig", SimpleNamespace(get=lambda: hydra))
    monkeypatch.setattr(locks, "TICK", 0.01)
    return tmp_path


def job(sweep: Path, name: str, *typed: str) -> DictConfig:
    (sweep / name).mkdir(exist_ok=True)
    return compose_config(f"run={sweep / name}", *typed)


def train(config: DictConfig, weights: bytes = b"weights") -> None:
    """The files that a training leaves."""
    folder = Path(config.run)
    (folder / LAST).parent.mkdir(exist_ok=True)
    (folder / LAST).write_bytes(weights)
    (folder / "metrics.csv").write_text("images_seen\n")
    (folder / TRAINED).write_text(training_hash(config))


def test_the_first_trains_and_the_others_take_it_over(sweep: Path) -> None:
    first, second, other = job(sweep, "a"), job(sweep, "b", "search=paper"), job(sweep, "c", "seed=1")
    with shared_training(first):
        assert first.checkpoint is None
        train(first)
    for config, checkpoint in ((second, "last"), (other, None)):
        with shared_training(config):
            assert config.checkpoint == checkpoint
    assert (sweep / "b" / LAST).read_bytes() == b"weights"
    assert (sweep / "b" / "metrics.csv").read_text() == "images_seen\n"
    (sweep / "b" / LAST).unlink()
    (sweep / "b" / LAST).write_bytes(b"trained on")
    assert (sweep / "a" / LAST).read_bytes() == b"weights"


def test_a_training_that_was_not_ended_is_taken_over_by_nobody(sweep: Path) -> None:
    first, second = job(sweep, "a"), job(sweep, "b")
    with shared_training(first):
        train(first)
        (sweep / "a" / TRAINED).unlink()  # it was stopped
    with shared_training(second):
        assert second.checkpoint is None
        train(second)
    first.checkpoint = None
    with shared_training(first):  # which now takes over what the other has trained to the end
        assert first.checkpoint == "last"
    assert (sweep / "a" / LAST).samefile(sweep / "b" / LAST)


def test_a_run_that_was_trained_on_is_another_training(sweep: Path) -> None:
    first, second = job(sweep, "a"), job(sweep, "b")
    with shared_training(first):
        train(first)
    longer = job(sweep, "a", "max_images=128000")
    train(longer)
    assert not has_trained(sweep / "a", training_hash(first))
    with shared_training(second):
        assert second.checkpoint is None


def test_a_stopped_job_goes_on_from_its_own_checkpoint(sweep: Path) -> None:
    config = job(sweep, "a")
    train(config, b"half")
    (sweep / "a" / TRAINED).unlink()
    with shared_training(config):
        assert config.checkpoint == "last"
        assert (sweep / "a" / LAST).read_bytes() == b"half"


def test_a_checkpoint_that_was_typed_is_left_alone(sweep: Path) -> None:
    config = job(sweep, "a", "checkpoint=some.ckpt")
    train(config)
    with shared_training(config):
        assert config.checkpoint == "some.ckpt"


def test_two_at_once_train_once(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = job(sweep, "a"), job(sweep, "b")
    trains, go_on, tested = threading.Event(), threading.Event(), threading.Event()

    def earlier() -> None:
        with shared_training(first):
            trains.set()
            go_on.wait(30)
            train(first)
            tested.wait(30)  # it has still to be scored: nobody waits for that

    thread = threading.Thread(target=earlier)
    thread.start()
    trains.wait(30)
    threading.Timer(0.1, go_on.set).start()
    with shared_training(second):
        assert second.checkpoint == "last"
        assert thread.is_alive()
    tested.set()
    thread.join()
    assert "b waits for a job with the same training" in capsys.readouterr().err


def test_the_lock_of_one_that_crashed_is_free(sweep: Path) -> None:
    first, second = job(sweep, "a"), job(sweep, "b")
    with pytest.raises(RuntimeError), shared_training(first):
        raise RuntimeError
    with shared_training(second):
        assert second.checkpoint is None


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from semigan_pl.tasks.held import held\n"
    code += "with held(Path(sys.argv[1]), ''): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with held(tmp_path / "lock", "", needless=lambda: True), (tmp_path / "lock").open("a") as file:
            assert not locks._taken(file)
        process.kill()
    with held(tmp_path / "lock", "nobody holds it"), (tmp_path / "lock").open("a") as file:
        assert not locks._taken(file)


def test_without_locks_everybody_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with held(tmp_path / "lock", ""), held(tmp_path / "lock", ""):
        pass
