"""`cnn-predict` as a program: what it writes, and that it is what the service answers."""

import csv
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.processes import Service, command, run_to_end
from tests.samples import ANKLE_BOOT, CONVERTED, DRAWINGS, ROOT, SAMPLE_FILES, SHIPPED_MODEL
from tests.service.predict.conftest import Run, rows_of
from tests.service.predict.services import Reply, answer, problem, small_service


def test_both_ways_give_the_answers_of_the_service(run: Run, photos: Path, tmp_path: Path, service: Service) -> None:
    (photos / "empty.png").touch()
    (photos / "text.jpg").write_text("no picture")
    (photos / "cut.png").write_bytes(ANKLE_BOOT.read_bytes()[:200])
    shutil.copy(DRAWINGS[0], photos / "large.png")
    assert run(photos, "-o", "here.jsonl", "--top-k", 3).returncode == 0
    assert run(photos, "-o", "there.jsonl", "--top-k", 3, "--url", service.url).returncode == 0
    here, there = rows_of(tmp_path / "here.jsonl"), rows_of(tmp_path / "there.jsonl")
    assert len(here) == 14
    assert [row.get("label") or row["problem"]["kind"] for row in here] == [
        row.get("label") or row["problem"]["kind"] for row in there
    ]
    assert {row["problem"]["kind"] for row in here if "problem" in row} == {
        "empty",
        "not a picture",
        "cannot be decoded",
    }
    for row, other in zip(here, there, strict=True):
        if "problem" not in row:
            content = Path(row["path"]).read_bytes()
            response = httpx.post(f"{service.url}/predict?top_k=3", content=content, timeout=60)
            assert row == other == {"path": row["path"], **response.json()}


def test_embeddings_are_those_of_the_service(run: Run, photos: Path, tmp_path: Path, service: Service) -> None:
    (photos / "text.jpg").write_text("no picture")
    assert run(photos, "-o", "here.jsonl", "--embeddings").returncode == 0
    assert run(photos, "-o", "there.jsonl", "--embeddings", "--url", service.url).returncode == 0
    here, there = rows_of(tmp_path / "here.jsonl"), rows_of(tmp_path / "there.jsonl")
    assert sum("problem" in row for row in here) == 1
    for row, other in zip(here, there, strict=True):
        if "problem" not in row:
            response = httpx.post(f"{service.url}/embed", content=Path(row["path"]).read_bytes(), timeout=60)
            (expected,) = response.json()["results"]
            assert len(expected["embedding"]) == 100
            assert row["embedding"] == pytest.approx(expected["embedding"], rel=1e-6)
            assert other["embedding"] == pytest.approx(expected["embedding"], rel=1e-6)


def test_a_service_without_embeddings_ends_the_program(run: Run, photos: Path) -> None:
    def reply(_content: bytes, number: int) -> Reply:
        return problem(422, "this model has no embeddings") if number % 2 else answer()

    with small_service(reply) as small:
        ended = run(photos, "-o", "answers.jsonl", "--embeddings", "--concurrency", 1, "--url", small.url)
    assert ended.returncode == 2
    assert "gives no embedding: this model has no embeddings; leave --embeddings out" in ended.stderr


def test_bad_files_are_rows_with_their_problem(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "text.jpg").write_text("no picture")
    (photos / "large.png").write_bytes(ANKLE_BOOT.read_bytes() + b"\0" * 5_000)
    (photos / "notes.txt").write_text("left out")
    (photos / "x.jpg").mkdir()
    shutil.copy(ANKLE_BOOT, photos / "x.jpg" / "no suffix")
    shutil.copy(ANKLE_BOOT, photos / ".hidden.png")
    os.mkfifo(photos / "fifo.png")
    (photos / "gone.png").symlink_to("nowhere")
    finished = run(photos, photos / "notes.txt", "-o", "a.csv", "--max-body-bytes", 5_000)
    assert finished.returncode == 0, finished.stderr
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert len(rows) == 16
    kinds = {name: row["problem_kind"] for name, row in rows.items() if row["problem_kind"]}
    assert kinds == {
        "text.jpg": "not a picture",
        "notes.txt": "not a picture",
        "large.png": "too large",
        "fifo.png": "unreadable",
        "gone.png": "unreadable",
    }
    assert rows["no suffix"]["class"] == "Ankle boot"
    assert "1 files in the folders are no pictures" in finished.stderr
    assert finished.stdout == ""
    assert not (tmp_path / "a.csv.partial").exists()


def test_any_name_of_a_file_is_taken_as_it_is(run: Run, tmp_path: Path) -> None:
    names = [b"=cmd,1.png", b"[a].png", b"two\nlines.png", b"caf\xe9.png", b"null"]
    for name in names:
        shutil.copyfile(ANKLE_BOOT, os.fsencode(tmp_path) + b"/" + name)
    finished = run(*map(os.fsdecode, names), "-o", "a.csv")
    assert finished.returncode == 0, finished.stderr
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["./=cmd,1.png", "[a].png", "two\nlines.png", "caf\\xe9.png", "null"]
    assert {row["class"] for row in rows} == {"Ankle boot"}


def test_paths_are_read_from_standard_input(photos: Path, tmp_path: Path) -> None:
    paths = b"\0".join(os.fsencode(path) for path in (*sorted(photos.rglob("*.png")), "missing.png"))
    finished = subprocess.run(
        command("service.predict", "-", "-o", tmp_path / "a.jsonl", "--model-path", SHIPPED_MODEL),
        input=paths,
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    *answered, missing = rows_of(tmp_path / "a.jsonl")
    assert len(answered) == 10
    assert missing["problem"]["kind"] == "unreadable"


def test_a_table_is_not_written_over(run: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("mine")
    finished = run(photos, "-o", "a.csv")
    assert finished.returncode == 2
    assert "--overwrite" in finished.stderr
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert run(photos, "-o", "a.csv", "--overwrite").returncode == 0
    assert (tmp_path / "a.csv").read_text() != "mine"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("photos", "-o", "a.txt"), "expected one of .csv"),
        (("photos", "-o", "nowhere/a.csv"), "there is no folder"),
        (("phots", "-o", "a.csv"), "no file or folder phots"),
        (("photos", "-o", "a.csv", "--url", "localhost"), "http://127.0.0.1:8000"),
        (("photos", "-o", "a.csv", "--url", "http://localhost", "--fit", "crop"), "--fit"),
        (("photos/a", "-o", "a.csv", "--move-to", "photos"), "name another folder"),
    ],
)
def test_wrong_arguments(run: Run, photos: Path, tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    finished = run(*options)
    assert finished.returncode == 2
    assert told in finished.stderr
    assert not list(tmp_path.glob("a.*"))


def test_killed_and_run_again_it_asks_for_nothing_twice(run: Run, photos: Path, tmp_path: Path) -> None:
    contents = [path.read_bytes() for path in SAMPLE_FILES[::20]]
    with small_service(lambda picture, _: answer() if picture in contents[:6] else None) as service:
        options = ("photos", "-o", "a.jsonl", "--url", service.url, "--concurrency", 1)
        ordered = sorted(path.read_bytes() for path in photos.rglob("*.png"))
        assert ordered
        seen = 0

        def until_six(picture: bytes, _: int) -> object:
            nonlocal seen
            seen += 1
            if seen == 7:
                os.kill(process.pid, signal.SIGKILL)
                return None
            return answer()

        service.reply = until_six
        process = subprocess.Popen(
            command("service.predict", *options), cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        assert process.wait() == -signal.SIGKILL
        assert len((tmp_path / "a.jsonl.partial").read_bytes().splitlines()) == 7  # and its head
        with (tmp_path / "a.jsonl.partial").open("ab") as journal:
            journal.write(b'{"path": "cut sho')
        service.reply = lambda *_: answer()
        assert run(*options).returncode == 0
    assert sorted(service.asked.values()) == [1] * 9 + [2]  # the one that was killed over its answer
    assert len(rows_of(tmp_path / "a.jsonl")) == 10


def test_interrupted_it_says_how_to_go_on(photos: Path, tmp_path: Path) -> None:
    def interrupt(picture: bytes, _: int) -> object:
        os.kill(process.pid, signal.SIGTERM)
        return None

    with small_service(interrupt) as service:
        process = subprocess.Popen(
            command("service.predict", "photos", "-o", "a.csv", "--url", service.url, "--concurrency", "1"),
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on" in errors


def test_another_model_is_never_mixed_in(run: Run, photos: Path, tmp_path: Path) -> None:
    with small_service(lambda *_: answer()) as service:
        versions = iter(["first"] * 4 + ["second"] * 6)
        service.reply = lambda *_: answer(next(versions))
        options = ("photos", "-o", "a.csv", "--url", service.url, "--concurrency", 1)
        finished = run(*options)
        assert finished.returncode == 2
        assert "--restart" in finished.stderr
        assert len((tmp_path / "a.csv.partial").read_bytes().splitlines()) == 5
        service.reply = lambda *_: answer("second")
        assert run(*options).returncode == 2
        assert run(*options, "--restart").returncode == 0


def test_other_settings_are_refused(run: Run, photos: Path, tmp_path: Path) -> None:
    with small_service(lambda *_: problem(401, "no key")) as service:
        options = ("photos", "-o", "a.csv", "--url", service.url, "--concurrency", 1)
        service.reply = lambda picture, _: answer() if len(service.asked) < 3 else problem(401, "no key")
        finished = run(*options, SERVICE_API_KEY="secret")
        assert finished.returncode == 2
        assert "SERVICE_API_KEY" in finished.stderr
        assert "secret" not in finished.stderr
        assert service.headers[0]["Authorization"] == "Bearer secret"
        finished = run(*options, "--top-k", 2)
        assert finished.returncode == 2
        assert "top_k was 1, now 2" in finished.stderr


def test_another_largest_size_is_refused(run: Run, photos: Path) -> None:
    options = ("photos", "-o", "a.csv", "--concurrency", 1)
    with small_service(lambda *_: problem(401, "no key")) as service:
        service.reply = lambda *_: answer() if len(service.asked) < 3 else problem(401, "no key")
        assert run(*options, "--url", service.url).returncode == 2
        finished = run(*options, "--url", service.url, "--max-body-bytes", 5_000)
    assert finished.returncode == 2
    assert "max_body_bytes was 10485760, now 5000" in finished.stderr


def test_what_is_only_for_now_is_tried_again(run: Run, photos: Path, tmp_path: Path) -> None:
    replies = [
        problem(503, "busy", Retry_After="0"),
        problem(429, "slowly", Retry_After="Thu, 26 Nov 2015 12:00:00 GMT"),
        None,
        answer(),
    ]
    with small_service(lambda _, before: replies[before]) as service:
        finished = run("photos/a", "-o", "a.jsonl", "--url", service.url)
    assert finished.returncode == 0, finished.stderr
    assert set(service.asked.values()) == {4}
    assert [row["label"] for row in rows_of(tmp_path / "a.jsonl")] == ["cat"] * 5


def test_a_wait_that_is_too_long_ends_the_program(run: Run, photos: Path) -> None:
    with small_service(lambda *_: problem(503, "busy", Retry_After="100000")) as service:
        finished = run(photos, "-o", "a.csv", "--url", service.url)
    assert finished.returncode == 1
    assert "asks to wait 100,000 s" in finished.stderr


def test_a_service_that_is_not_there_ends_the_program(run: Run, photos: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        finished = run(photos, "-o", "a.csv", "--url", url, "--give-up-after-s", 0)
    assert finished.returncode == 1
    assert re.search(rf"the service was asked and has never answered, for \d+ s \({re.escape(url)}: ", finished.stderr)
    assert "a.csv.partial" not in finished.stderr


def test_a_full_disk_loses_nothing(photos: Path, tmp_path: Path) -> None:
    for place, file in enumerate(SAMPLE_FILES):
        shutil.copy(file, photos / f"{place}.png")
    options = ("photos", "-o", "a.jsonl", "--model-path", str(SHIPPED_MODEL), "--max-batch-size", "16")
    assert run_to_end("service.convert", SHIPPED_MODEL).returncode == 0  # which needs more room
    limited = ["prlimit", "--fsize=30000", *command("service.predict", *options)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "SERVICE_CACHE_DIR": str(CONVERTED)}
    finished = subprocess.run(limited, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 1, finished.stderr
    assert "File too large" in finished.stderr
    kept = (tmp_path / "a.jsonl.partial").read_bytes()
    assert 10 < kept.count(b"\n") < 200
    finished = subprocess.run(
        command("service.predict", *options), cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0
    assert "were known from before" in finished.stderr
    assert len(rows_of(tmp_path / "a.jsonl")) == 210


def test_pictures_are_moved_by_class(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "text.jpg").write_text("no picture")
    (tmp_path / "sorted" / "T-shirt_top").mkdir(parents=True)
    taken = tmp_path / "sorted" / "T-shirt_top" / SAMPLE_FILES[0].name
    taken.write_text("somebody else's")
    finished = run("photos", "-o", "a.csv", "--move-to", "sorted")
    assert finished.returncode == 0, finished.stderr
    assert taken.read_text() == "somebody else's"
    moved = [path for path in (tmp_path / "sorted").rglob("*.png") if path != taken]
    assert sorted(path.read_bytes() for path in moved) == sorted(path.read_bytes() for path in SAMPLE_FILES[::20])
    assert [path.name for path in photos.rglob("*") if path.is_file()] == ["text.jpg"]
    assert len((tmp_path / "a.moves.csv").read_text().splitlines()) == 11


def test_the_list_of_moves_is_not_written_over(run: Run, photos: Path, tmp_path: Path) -> None:
    with small_service(lambda *_: answer()) as service:
        options = ("--move-to", "sorted", "--url", service.url)
        assert run("photos/a", "-o", "answers.csv", *options).returncode == 0
        before = (tmp_path / "answers.moves.csv").read_text()
        for more in (("-o", "answers.jsonl"), ("-o", "answers.csv", "--overwrite")):
            finished = run("photos/b", *more, *options)
            assert finished.returncode == 2
            assert "there already is answers.moves.csv, which says where pictures went" in finished.stderr
            assert not list(tmp_path.glob("*.partial"))
    assert (tmp_path / "answers.moves.csv").read_text() == before
    assert len(list((photos / "b").iterdir())) == 5


def test_a_stopped_run_goes_on_with_its_list_of_moves(run: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "sorted").mkdir()
    (tmp_path / "sorted" / "cat").touch()  # where a folder is to be
    with small_service(lambda *_: answer()) as service:
        options = ("photos", "-o", "a.csv", "--move-to", "sorted", "--url", service.url)
        assert run(*options).returncode == 1
        (tmp_path / "sorted" / "cat").unlink()
        assert run(*options).returncode == 0
    assert len((tmp_path / "a.moves.csv").read_text().splitlines()) == 11


def test_drawings_are_no_pictures_of_the_next_run(run: Run, photos: Path, tmp_path: Path) -> None:
    drawn = photos / "drawn"
    for table in ("a.csv", "b.csv"):
        finished = run("photos/a", "photos", "-o", table, "--explain", drawn, "--overwrite")
        assert finished.returncode == 0, finished.stderr
        assert len((tmp_path / table).read_text().splitlines()) == 11


def test_drawings_mirror_the_folders(run: Run, photos: Path, tmp_path: Path) -> None:
    finished = run("photos/a", "-o", "a.csv", "--explain", "drawn")
    assert finished.returncode == 0, finished.stderr
    drawn = sorted(path.relative_to(tmp_path / "drawn") for path in (tmp_path / "drawn").rglob("*.png"))
    pictures = sorted(path.relative_to(tmp_path) for path in (photos / "a").iterdir())
    assert drawn == [path.with_name(f"{path.name}.png") for path in pictures]
    assert run("photos", "-o", "b.csv", "--explain", "drawn").returncode == 2
