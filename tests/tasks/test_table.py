"""task=table: which runs are made, which are not made again, and what becomes of those that fail or are interrupted."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from semigan_pl.command_line import quoted
from semigan_pl.tasks import study
from semigan_pl.tasks.forecast import Forecast, Kind
from semigan_pl.tasks.study import Job, Outcome, State, alone, arguments, state_of, work_off
from semigan_pl.tasks.table_plan import make_plan
from tests.commands import ROOT, SMALL, Run, call
from tests.conftest import compose_config

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in.py")))
TABLE = ["+experiment=table_digits", "run=t", "table.only.classes=[8]", "table.patience=5"]
ALL = {
    "clean/gan",
    "clean/anogan",
    "contaminated/gan",
    "contaminated/anogan",
    "contaminated/semigan",
    "one_known/semigan",
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that take no time."""
    monkeypatch.setattr(study, "COMMAND", STAND_IN)


def rows(folder: Path) -> dict[str, dict[str, str]]:
    """runs.csv by setting/method."""
    with (folder / "runs.csv").open(newline="") as file:
        return {f"{row['setting']}/{row['method']}": row for row in csv.DictReader(file)}


def made(result: Run) -> set[str]:
    """The runs that were started, by what is said of them."""
    lines = [line for line in result.stderr.splitlines() if "seed=" in line and ": " in line]
    return {"/".join(line.split()[:2]) for line in lines}


NEEDS = {  # a setting whose runs wait for the GANs of another one
    "needs": {"setting": "clean", "method": "gan"},
    "overrides": ["data.known_anomalies=0", "model.gan_checkpoint={needed}/checkpoints/last.ckpt"],
}
WAITING = (
    "+table.settings.waiting={title: w, known: none, overrides: ['model.gan_checkpoint={needed}/last.ckpt'],"
    " needs: {setting: clean, method: gan}}"
)
ENCODER = "+table.methods.fanogan={known: ignored, overrides: ['model=fanogan'], settings: [waiting]}"


def plan(**changes: Any) -> Any:
    options: Any = OmegaConf.to_container(compose_config("+experiment=table_digits").table, resolve=True)
    typed = changes.pop("typed", [])
    return make_plan(options | changes, typed, Path("t"))


@pytest.mark.usefixtures("quick")
def test_every_run_is_made_once_and_not_again(tmp_path: Path) -> None:
    first = call(tmp_path, *TABLE, "table.threads=3", "table.at_once=2")
    assert first.returncode == 0, first.stderr
    assert made(first) == ALL
    assert (tmp_path / "t/clean/gan/8/seed=0/output.log").read_text() == "threads 3\n"
    assert {row["state"] for row in rows(tmp_path / "t").values()} == {"finished"}
    again = call(tmp_path, *TABLE)
    assert again.returncode == 0, again.stderr
    assert made(again) == set()
    assert "6 finished, 0 to do" in again.stderr
    wider = call(tmp_path, *TABLE[:2])
    assert made(wider) == ALL
    assert "12 runs: 6 finished, 6 to do" in wider.stderr
    assert "12 of 12 planned runs are finished" in (tmp_path / "t/table.md").read_text()


@pytest.mark.usefixtures("quick")
def test_a_moved_table_is_still_finished(tmp_path: Path) -> None:
    assert call(tmp_path, *TABLE).returncode == 0
    (tmp_path / "t").rename(tmp_path / "u")
    assert made(call(tmp_path, *TABLE, "run=u")) == set()


@pytest.mark.usefixtures("quick")
def test_records_of_runs_that_were_made_elsewhere_need_no_folder(tmp_path: Path) -> None:
    """Two tables in parts become one, which is that of one machine; its own records hold the runs of both."""
    parts = [["run=t"], ["run=u", "data.root=elsewhere"]]
    for part, method in zip(parts, ("gan", "semigan"), strict=True):
        assert call(tmp_path, *TABLE, *part, f"table.only.methods=[{method}]").returncode == 0
    files = "table.records=[t/records.jsonl,u/records.jsonl]"
    both = call(tmp_path, *TABLE, "run=both", files)
    assert made(both) == {"clean/anogan", "contaminated/anogan"}
    found = rows(tmp_path / "both")
    assert found["clean/gan"]["state"] == found["one_known/semigan"]["state"] == "finished elsewhere"
    assert found["clean/anogan"]["state"] == "finished"
    assert call(tmp_path, *TABLE, "run=whole").returncode == 0
    numbers = [(tmp_path / name / "table.csv").read_text() for name in ("both", "whole")]
    assert numbers[0] == numbers[1]
    last = call(tmp_path, *TABLE, "run=last", "table.records=both/records.jsonl", "table.at_once=0")
    assert made(last) == set()
    assert (tmp_path / "last" / "table.csv").read_text() == numbers[0]


@pytest.mark.usefixtures("quick")
def test_records_of_other_runs_are_left_out_and_folders_come_first(tmp_path: Path) -> None:
    only = "table.only.methods=[gan]"
    assert call(tmp_path, *TABLE, only).returncode == 0
    other = call(tmp_path, *TABLE, only, "run=u", "max_images=32000", "table.records=t/records.jsonl")
    assert made(other) == {"clean/gan", "contaminated/gan"}
    assert "2 of 2 records are left out: they are of other options or other metrics." in other.stderr
    again = call(tmp_path, *TABLE, only, "table.records=t/records.jsonl")
    assert made(again) == set()
    assert rows(tmp_path / "t")["clean/gan"]["state"] == "finished"
    more = call(tmp_path, *TABLE, only, "run=v", "+table.metrics.f1_max=F1", "table.records=t/records.jsonl")
    assert made(more) == {"clean/gan", "contaminated/gan"}
    missing = call(tmp_path, *TABLE, only, "table.records=t/nothing")
    assert missing.returncode != 0
    assert "error: table.records names t/nothing, which is not there" in missing.stderr


@pytest.mark.usefixtures("quick")
def test_another_command_is_neither_taken_for_finished_nor_overwritten(tmp_path: Path) -> None:
    assert call(tmp_path, *TABLE, "table.only.methods=[gan]").returncode == 0
    files = {path: path.read_bytes() for path in (tmp_path / "t").glob("*/**/metrics.json")}
    result = call(tmp_path, *TABLE, "max_images=32000")
    assert result.returncode == 0, result.stderr
    assert "clean gan 8 seed=0: failed: t/clean/gan/8/seed=0 holds a run of another command: remove it" in result.stderr
    assert all(path.read_bytes() == content for path, content in files.items())
    page = (tmp_path / "t/table.md").read_text()
    assert "| gan " not in page
    assert "4 of 12 planned runs are finished, 2 failed" in page


@pytest.mark.usefixtures("quick")
def test_a_failure_is_listed_with_its_reason_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "mood").write_text("anogan error")
    result = call(tmp_path, *TABLE)
    assert result.returncode == 0, result.stderr
    assert made(result) == ALL
    assert "clean anogan 8 seed=0: failed: this does not work: change | it (" in result.stderr
    assert "2 runs failed" in result.stderr
    found = rows(tmp_path / "t")
    assert found["clean/anogan"]["state"] == "failed"
    assert found["clean/anogan"]["reason"] == "this does not work: change | it"
    assert found["clean/gan"]["state"] == "finished"
    assert (
        r"| clean anogan 8 seed=0 | this does not work: change \| it | `python run.py "
        in (tmp_path / "t/table.md").read_text()
    )
    only = call(tmp_path, *TABLE, "table.only.methods=[gan]")
    assert made(only) == set()
    assert rows(tmp_path / "t")["clean/anogan"]["reason"] == "this does not work: change | it"
    (tmp_path / "mood").unlink()
    assert made(call(tmp_path, *TABLE)) == {"clean/anogan", "contaminated/anogan"}
    assert rows(tmp_path / "t")["clean/anogan"]["reason"] == ""
    assert "Not finished" not in (tmp_path / "t/table.md").read_text()


@pytest.mark.usefixtures("quick")
def test_where_nothing_finishes_the_first_reason_is_said(tmp_path: Path) -> None:
    (tmp_path / "mood").write_text("gan broken")
    result = call(tmp_path, *TABLE, "table.only.methods=[gan]")
    assert result.returncode != 0
    assert "error: no run of t is finished: it ended with code 1: broken" in result.stderr
    assert not (tmp_path / "t/table.md").exists()


def test_ctrl_c_ends_the_runs_and_leaves_them_to_go_on(tmp_path: Path) -> None:
    """With a stand-in for the runs, but the table's own process, which is signalled."""
    (tmp_path / "mood").write_text("anogan slow")
    code = f"import run; from semigan_pl.tasks import study; study.COMMAND = {STAND_IN!r}; run.cli()"
    arguments_ = [sys.executable, "-c", code, *TABLE, "table.only.methods=[gan,anogan]"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    begun = tmp_path / "t/clean/anogan/8/seed=0/checkpoints/last.ckpt"
    with subprocess.Popen(arguments_, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for(begun)
        second = call(tmp_path, *TABLE)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert "error: t is being worked on by another command" in second.stderr
    assert process.returncode == 130
    assert "Stopped. The same command goes on" in said
    states = {name: row["state"] for name, row in rows(tmp_path / "t").items() if row["setting"] == "clean"}
    assert states == {"clean/gan": "finished", "clean/anogan": "interrupted"}
    with alone(tmp_path / "t"):  # nobody is left
        (tmp_path / "mood").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "COMMAND", STAND_IN)
        result = call(tmp_path, *TABLE, "table.only.methods=[gan,anogan]")
    assert result.returncode == 0, result.stderr
    assert (begun.parents[1] / "continued").read_text() == "run=t/clean/anogan/8/seed=0 checkpoint=last"
    assert rows(tmp_path / "t")["clean/anogan"]["state"] == "finished"


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 120
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


def test_a_continued_run_keeps_what_its_checkpoint_does_not_bring(tmp_path: Path) -> None:
    job = Job(tmp_path / "a=b", ("max_images=64", "data.cache_dir=here"))
    (job.folder / ".hydra").mkdir(parents=True)
    overrides = job.folder / ".hydra" / "overrides.yaml"
    overrides.write_text(f"- max_images=64\n- data.cache_dir=here\n- 'run=\"{job.folder}\"'\n")
    assert state_of(job) is State.NEW
    assert arguments(job) == job.typed
    (job.folder / "checkpoints").mkdir()
    (job.folder / "checkpoints" / "last.ckpt").touch()
    assert state_of(job) is State.INTERRUPTED
    assert arguments(job) == ["data.cache_dir=here", f"run={job.folder}", "checkpoint=last"]
    overrides.write_text("- max_images=65\n- data.cache_dir=here\n")
    assert state_of(job) is State.FOREIGN


def test_a_killed_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "COMMAND", ("/bin/sh", "-c", "kill -9 $$"))
    outcomes = list[Outcome]()
    work_off([Job(tmp_path / "run", ())], 1, 1, 1.0, outcomes.append)
    assert "SIGKILL" in str(outcomes[0].failure)


def test_the_plan() -> None:
    found = plan(typed=["+experiment=table_digits", "run=t", "table.threads=2", "data.root=x", "max_images=64"])
    assert len(found.cells) == 2 * (2 + 3 + 3)
    assert len(found.jobs) == len(found.wanted) == 2 * 6  # what ignores known anomalies is not run for one_known
    job = found.jobs[Path("t/one_known/semigan/3/seed=0")]
    assert job.overrides == (
        *("data=digits", "search=quick", "max_images=64", "data.contamination=0.1", "data.known_anomalies=50"),
        *("model=semigan", "data.normal_classes=[3]", "seed=0", "data.known_classes=[1]", "data.root=x"),
    )
    assert job.command == shlex.join(["python", "run.py", *job.overrides, "run=t/one_known/semigan/3/seed=0"])
    (borrowed,) = (cell for cell in found.cells if cell[:4] == ("one_known", "gan", "8", "0"))
    assert (borrowed.folder, borrowed.known, borrowed.home) == (
        Path("t/contaminated/gan/8/seed=0"),
        "1",
        "contaminated",
    )


def test_a_method_is_run_where_its_settings_say() -> None:
    options: Any = OmegaConf.to_container(compose_config("+experiment=table_digits").table, resolve=True)
    methods = options["methods"] | {"anogan": options["methods"]["anogan"] | {"settings": ["clean"]}}
    found = plan(methods=methods)
    assert {cell.setting for cell in found.cells if cell.method == "anogan"} == {"clean"}
    assert len(found.cells) == 2 * (2 + 2 + 2)


def test_a_run_names_the_one_that_it_needs() -> None:
    options: Any = OmegaConf.to_container(compose_config("+experiment=table_digits").table, resolve=True)
    settings = options["settings"] | {"waiting": NEEDS | {"title": "w", "known": "none"}}
    only = options["only"] | {"settings": ["waiting"], "methods": ["anogan"], "classes": ["8"]}
    found = plan(settings=settings, only=only)
    assert [str(job.folder) for job in found.wanted] == ["t/clean/gan/8/seed=0", "t/waiting/anogan/8/seed=0"]
    assert [job.needs for job in found.wanted] == [None, Path("t/clean/gan/8/seed=0")]
    assert "model.gan_checkpoint=t/clean/gan/8/seed=0/checkpoints/last.ckpt" in found.wanted[1].overrides


def test_table_2_composes_every_run() -> None:
    """Every method in every setting, in the budget that is typed instead of the one of the table."""
    typed = ["+experiment=table2", "+budget=cpu", "data.root=x"]
    config = compose_config(*typed[:2])
    options: Any = OmegaConf.to_container(config.table, resolve=True)
    found = make_plan(options | {"seeds": [0], "classes": {"3": options["classes"]["3"]}}, typed, Path("t"))
    assert len(found.jobs) == 6 + 6 * 6
    assert len(make_plan(options, typed, Path("t")).jobs) == 54 + 324
    assert all("cpu" in (method.seconds or {}) for method in found.methods.values())
    shown = {(setting, reference.metric) for reference in found.references for setting in reference.settings}
    assert shown == {(setting, metric) for setting in found.settings for metric in found.layout.metrics}
    one_each = {cell.method: cell.folder for cell in found.cells} | {cell.setting: cell.folder for cell in found.cells}
    for place in set(one_each.values()):
        run = compose_config(*map(quoted, found.jobs[place].overrides), "run=here")
        assert (run.data.image_size, run.network.size, run.trainer.accelerator) == (32, "small", "cpu")
        assert run.search.steps == 3  # of the tests, beside what the budget chooses
    without = make_plan(options, typed[:1], Path("t")).wanted[0]
    assert compose_config(*without.overrides, "run=here").trainer.accelerator == "gpu"


def test_the_table_of_mnist_composes_every_run() -> None:
    """Every method, and every setting."""
    config = compose_config("+experiment=table_mnist")
    options: Any = OmegaConf.to_container(config.table, resolve=True)
    found = make_plan(options | {"seeds": [0]}, ["+experiment=table_mnist", "data.root=x"], Path("t"))
    assert len({cell.column for cell in found.cells}) == 10
    assert {reference.setting for reference in found.references} <= set(found.settings)
    methods = {cell.method for cell in found.cells}
    assert {reference.method for reference in found.references} - {None} <= methods
    shares = [options["settings"][name]["overrides"][1].partition("=")[2] for name in ("share_1", "share_5")]
    assert [float(a) / (1 + float(a)) for a in shares] == pytest.approx([0.01, 0.05], abs=1e-6)
    one_each = {cell.method: cell.folder for cell in found.cells} | {cell.setting: cell.folder for cell in found.cells}
    for place in set(one_each.values()):
        compose_config(*found.jobs[place].overrides, "run=here")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            "table.only.methods=[semigam]",
            "table.only.methods names semigam, which is not there: choose among gan, anogan",
        ),
        ("table.only.classes=[4]", "table.only.classes names 4"),
        ("table.only.seeds=7", "table.only.seeds names 7"),
        ("table.only.settings=[dirty]", "table.only.settings names dirty"),
        ("table.at_once=-1", "table.at_once=-1"),
        ("seed=1", "seed=1 would undo what the table varies"),
        ("data.contamination=0.3", "data.contamination=0.3 would undo"),
        ("model=gan", "model=gan would undo"),
        ("checkpoint=last", "checkpoint=last does not go with task=table"),
        ("table.methods.gan.known=perhaps", "table.methods.gan.known=perhaps: use one of ignored, used, needed"),
        ("+table.methods.gan.colour=red", "table.methods.gan has a key too many or too few: it takes known, overrides"),
        ("table.settings.one_known.like=dirty", "table.settings.one_known.like=dirty is no setting"),
        ("+table.metrics.loss=L", "table.metrics names loss: use some of auroc, average_precision, f1_max"),
        ("table.mean=7", "table.mean=7 must be true or false"),
        ("+table.methods.gan.settings=[dirty]", "table.methods.gan.settings=dirty is no setting: there are clean"),
        ("+table.methods.gan.seconds={cpu: 0}", "table.methods.gan.seconds.cpu=0 must be a finite number, above 0"),
        ("+table.settings.clean.needs={setting: clean}", "table.settings.clean.needs takes a setting and a method"),
        (
            "+table.settings.clean.needs={setting: contaminated, method: gam}",
            "table.settings.clean.needs.method=gam is no method: there are gan, anogan",
        ),
        (
            "+table.settings.contaminated.needs={setting: clean, method: semigan}",
            "table.settings.contaminated.needs: semigan is not run in clean",
        ),
        (
            "+table.settings.clean.needs={setting: clean, method: gan}",
            "table.settings.clean.needs: gan is not run in clean, or waits for a run itself",
        ),
        ("~table.known_class.3", "table.known_class does not say which class is known where 3 is normal"),
        ("table.at_once=0", "no run of t is finished: none was started"),
    ],
)
def test_bad_input_gets_one_sentence(typed: str, words: str, tmp_path: Path) -> None:
    result = call(tmp_path, "+experiment=table_digits", "run=t", typed)
    assert result.returncode != 0
    assert f"error: {words}" in result.stderr
    assert "Traceback" not in result.stderr


def test_task_table_asks_for_a_table(tmp_path: Path) -> None:
    assert "error: task=table needs a table: add +experiment=table_mnist" in call(tmp_path, "task=table").stderr


def test_a_real_run_is_finished_for_the_table(tmp_path: Path) -> None:
    """The real command line leaves what the table looks for, and its error is the reason."""
    budget = [*SMALL[1:-1], "data.test_limit=200", "max_images=64", "callbacks.image_grid.grids=0"]
    place = ["run=it is/t", "table.only.settings=[clean]", "table.only.classes=[8]", "table.only.methods=[gan]"]
    result = call(tmp_path, "+experiment=table_digits", *place, *budget)
    assert result.returncode == 0, result.stderr
    assert "clean gan 8 seed=0: AUROC" in result.stderr
    again = call(tmp_path, "+experiment=table_digits", *place, *budget)
    assert "1 runs: 1 finished" in again.stderr
    broken = call(tmp_path, "+experiment=table_digits", *place, *budget, "data.test_share=2", "run=broken")
    assert broken.returncode != 0
    assert "error: no run of broken is finished: data.test_share=2" in broken.stderr


@pytest.mark.usefixtures("quick")
def test_a_run_that_needs_another_waits_for_it(tmp_path: Path) -> None:
    """What is left out is made all the same where it is needed; where it fails, that is the reason."""
    table = [*TABLE, WAITING, ENCODER, "table.only.settings=[waiting]", "table.only.methods=[fanogan]"]
    (tmp_path / "mood").write_text("gan error")
    failed = call(tmp_path, *table, "table.at_once=2")
    assert made(failed) == {"clean/gan", "waiting/fanogan"}
    reason = "it needs the run t/clean/gan/8/seed=0, which failed: this does not work: change | it"
    assert f"waiting fanogan 8 seed=0: failed: {reason}" in failed.stderr
    assert rows(tmp_path / "t")["waiting/fanogan"]["reason"] == reason
    assert not (tmp_path / "t/waiting/fanogan/8/seed=0").exists()
    (tmp_path / "mood").unlink()
    result = call(tmp_path, *table, "table.at_once=2")
    assert result.returncode == 0, result.stderr
    assert {row["state"] for row in rows(tmp_path / "t").values()} == {"finished"}
    assert made(call(tmp_path, *table)) == set()
    (tmp_path / "t").rename(tmp_path / "u")
    assert made(call(tmp_path, *table, "run=u")) == set()  # the needed one has moved along


@pytest.mark.usefixtures("quick")
def test_a_record_is_no_checkpoint_for_those_who_need_one(tmp_path: Path) -> None:
    """A run that others need is made here, though it is finished elsewhere, unless they are finished as well."""
    table = [*TABLE, WAITING, ENCODER, "table.only.settings=[waiting]", "table.only.methods=[fanogan]"]
    assert call(tmp_path, *TABLE, "table.only.settings=[clean]", "table.only.methods=[gan]").returncode == 0
    records = "table.records=t/records.jsonl"
    assert made(call(tmp_path, *table, "run=u", records)) == {"clean/gan", "waiting/fanogan"}
    assert made(call(tmp_path, *table, "run=v", "table.records=[t/records.jsonl,u/records.jsonl]")) == set()


def test_a_waiting_job_lets_others_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "COMMAND", STAND_IN)
    first, second = Job(tmp_path / "m/a/0/0", ()), Job(tmp_path / "m/b/0/0", (), tmp_path / "m/a/0/0")
    third = Job(tmp_path / "m/c/0/0", ())
    outcomes = list[Outcome]()
    work_off([second, third, first], 1, 1, 1.0, outcomes.append)
    assert [(outcome.job, outcome.failure) for outcome in outcomes] == [(third, None), (first, None), (second, None)]


def test_the_time_left() -> None:
    kinds = {
        Path(str(n)): Kind(*kind) for n, kind in enumerate([("s", "a", "cpu"), ("s", "b", "cpu"), ("s", "b", "cpu")])
    }
    earlier = [(Kind("s", "a", "cpu"), 10.0), (Kind("s", "a", "cpu"), 20.0), (Kind("t", "a", "cpu"), 600.0)]
    forecast = Forecast(kinds, earlier, {"a": {"cpu": 1}, "b": {"cpu": 30}}, at_once=2)
    assert forecast.seconds_left() == (15 + 30 + 30) / 2
    assert forecast.sentence() == "The 3 runs to do will take about 38 s, 2 side by side."
    forecast.take(Path("1"), 60.0)  # twice as long as its hint
    assert forecast.seconds_left() == 60  # the other b takes as long, whatever goes beside it
    forecast.take(Path("2"), None)  # failed
    assert forecast.seconds_left() == 2 * 15
    forecast.take(Path("0"), 20.0)
    assert forecast.seconds_left() is None


def test_of_some_runs_nothing_is_known() -> None:
    kinds = {Path("0"): Kind("s", "a", "cpu"), Path("1"): Kind("s", "b", "cpu"), Path("2"): Kind("t", "b", None)}
    nothing = Forecast(kinds, [], {"a": {"gpu": 5}}, at_once=1)
    assert nothing.sentence().startswith("How long the 3 runs will take is not known before")
    assert nothing.sentence().endswith("(a, b).")
    assert nothing.seconds_left() is None
    nothing.take(Path("0"), 7.0)
    assert nothing.seconds_left() == 2 * 7
    some = Forecast(kinds, [], {"a": {"cpu": 40}}, at_once=1)
    assert some.sentence() == "The 1 runs to do will take about 40 s; of 2 more nothing is known yet (b)."
    elsewhere = Forecast(kinds, [(Kind("t", "b", None), 8.0)], {}, at_once=1)
    assert elsewhere.sentence() == "The 2 runs to do will take about 16 s; of 1 more nothing is known yet (a)."


@pytest.mark.usefixtures("quick")
def test_the_estimate_comes_before_the_first_run(tmp_path: Path) -> None:
    hints = ["+table.methods.gan.seconds={cpu: 3000}", "table.only.methods=[gan,anogan]"]
    result = call(tmp_path, *TABLE, "+budget=cpu", *hints)
    assert result.returncode == 0, result.stderr
    said = result.stderr.splitlines()
    assert said[1] == "The 2 runs to do will take about 1.7 h; of 2 more nothing is known yet (anogan)."
    assert "seed=0: AUROC" in said[2]


@pytest.mark.usefixtures("quick")
def test_with_multirun_and_without_it_is_the_same_table(tmp_path: Path) -> None:
    narrowed = ["settings=[inductive_discriminator]", "methods=[cop]", "classes=[1]", "seeds=[0]"]
    table = ["+experiment=table2", "+budget=cpu", *(f"table.only.{one}" for one in narrowed)]
    first = call(tmp_path, "-m", *table)
    assert first.returncode == 0, first.stderr
    assert made(first) == {"images/gan", "inductive_discriminator/cop"}
    for again in (call(tmp_path, *table), call(tmp_path, "-m", *table)):
        assert "2 runs: 2 finished, 0 to do. Everything is in outputs/table2." in again.stderr
    assert "data.n_normal=1" in (tmp_path / "outputs/table2/runs.csv").read_text()
    page = (tmp_path / "outputs/table2/table.md").read_text()
    assert "| ↳ CoP, published [1] | 0.880 | 0.905 |" in page
    assert (tmp_path / "outputs/table2/table.tex").is_file()
