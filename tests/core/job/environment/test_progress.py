from core.job.environment import progress as progress_module
from core.job.environment.progress import Progress


def test_megabytes_and_time_left_come_from_uv_s_lines_and_the_disk(told, tmp_path, monkeypatch):
    free, now = [10_000_000_000], [0.0]
    monkeypatch.setattr(progress_module.shutil, "disk_usage", lambda folder: type("U", (), {"free": free[0]}))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress_module, "DISK_PER_DOWNLOAD", 2.0)
    progress = Progress(told, tmp_path)
    progress.begin("torch")
    for line in ("Resolved 32 packages in 2s", "Downloading torch (900.0MiB)", "Downloading triton (100.0MiB)"):
        progress.heard(line)
    free[0], now[0] = free[0] - 524_288_000, 30.0
    progress.tick()
    assert told[-1]["text"] == "Step 3 of 5: Installing PyTorch, 262 of 1,049 MB"
    assert told[-1]["seconds_left"] == 90.0
    assert told[-1]["done"] == round(0.08 + 0.75 / 4, 4)
    free[0] += 9_000_000  # somebody else frees space: it does not go back
    progress.tick()
    assert told[-1]["text"].endswith("262 of 1,049 MB")
    free[0] = 0
    progress.tick()
    assert told[-1]["text"].endswith("1,049 of 1,049 MB")
    assert told[-1]["seconds_left"] == 0.0


def test_without_a_download_it_tells_a_step_once(told, tmp_path):
    progress = Progress(told, tmp_path)
    for _ in range(5):
        progress.tick()
    assert told.texts("progress") == ["Step 1 of 5: Getting the installer uv"]


def test_a_download_of_unknown_size_tells_its_megabytes(told, tmp_path):
    progress = Progress(told, tmp_path)
    progress.downloaded(5e6, 0)
    assert told[-1]["text"].endswith(", 5 MB")
    assert told[-1]["seconds_left"] is None
