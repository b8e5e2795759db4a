from pyrovae import InputError
from pyrovae.errors import reason


def test_the_reason_of_an_error_is_one_line_without_tensors():
    assert reason(ValueError("Expected scale > 0, but found invalid values:\ntensor([[0.,\n 0.]])")).endswith("values")
    assert reason(RuntimeError("Error(s) in loading:\n\tsize mismatch for a.\n\nmore")) == "size mismatch for a."
    assert reason(EOFError()) == "EOFError"


def test_a_message_is_one_line_even_if_a_name_has_line_breaks():
    assert (
        str(InputError("out: expected a folder at a\nb\u2028c, got nothing"))
        == r"out: expected a folder at a\nb\u2028c, got nothing"
    )
