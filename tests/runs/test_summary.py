from support.runs import trained


def test_the_note_of_an_autoencoder_says_that_it_has_no_kl(tmp_path):
    run, _ = trained(tmp_path, posterior="delta")
    assert "no KL term" in run.summary["note"]
