"""Load the dataset that a config names."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pyrovae.config.settings import Config, group_of
from pyrovae.data.data import Data, data_of
from pyrovae.data.format import Format
from pyrovae.data.sources import read_source
from pyrovae.data.sources.raw_data import RawData
from pyrovae.parts.kinds import Kind

# The settings that decide what `load` returns, beside the seed if labels are hidden.
READ = (*(name for name, each in Config.model_fields.items() if group_of(each) == "Data"), "validation", "labelled")


NONE: Mapping[str, Kind] = MappingProxyType({})


def load(config: Config, kinds: Sequence[Kind] = (), conditions: Mapping[str, Kind] = NONE) -> Data:
    """Read the dataset that `config` names, by its settings of the group Data, `validation` and `labelled`.

    `kinds` and `conditions` are those of the columns of a table that was read before, and that this one must have, too.

    Raises `InputError` if files are missing or damaged, or if their images do not have one shape; it names the files.

    >>> data = load(Config(dataset="digits", pixels="threshold", validation=100))
    >>> len(data.train), len(data.validation), len(data.test)
    (1338, 100, 359)
    >>> data.batch(data.train, slice(0, 10)).x.unique()
    tensor([0., 1.])
    """
    return data_of(read(config, kinds, conditions), config)


def read(
    config: Config, kinds: Sequence[Kind] = (), conditions: Mapping[str, Kind] = NONE, further: bool = False
) -> RawData:
    """Read the images of the dataset that `config` names, as its files have them: not split, and by no protocol.

    `kinds` and `conditions` are those of the columns of a table that was read before, of which these may be `further`
    rows.
    """
    format = Format(
        pixels=config.pixels,
        shape=config.shape,
        background=config.background,
        label_column=config.label_column,
        columns=config.columns,
        kinds=tuple(kinds),
        conditions=config.given_columns,
        given=conditions,
        layer=config.layer,
        further=further,
    )
    return read_source(config.dataset, config.data_dir, config.image_size, format, config.on_broken)
