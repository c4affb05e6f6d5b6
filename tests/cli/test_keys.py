"""`keys`: a key file where there is none."""

from puskesmas_queue.storage.crypto import Keyring
from support.server import run_command


def test_a_lost_key_file_is_made_anew_and_never_overwritten(tmp_path):
    folder = tmp_path / "clinic"
    assert run_command("init", folder).returncode == 0
    config, key = folder / "puskesmas.toml", folder / "secret.key"
    before = key.read_bytes()

    there = run_command("keys", "create", "--config", config)
    assert there.returncode == 1
    assert "left as it is" in there.stderr
    assert key.read_bytes() == before

    key.unlink()
    assert run_command("keys", "create", "--config", config).returncode == 0
    assert key.read_bytes() != before
    Keyring.load(key)
