from support.runs import trained


def test_an_autoencoder_says_so(tmp_path):
    run, _ = trained(tmp_path, posterior="delta")
    assert "no KL term" in run.summary["note"]
