"""Gives bad input to commands: each says in one line what was expected, exits with 2, and leaves the disk as it was."""

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import save_file
from support.commands import listing, pyrovae

from pyrovae.config.settings import Config
from pyrovae.runs.estimates import Estimates

BAD_INPUT = [
    ("trian", "expected one of train, .*, got 'trian'; did you mean 'train'"),
    ("--verson", "unknown flag --verson; did you mean '--version'"),
    # flags
    ("train --latnet-dim 3", "unknown flag --latnet-dim; did you mean '--latent-dim'"),
    ("train mnist", "expected no more arguments, got 'mnist'"),
    ("train --lr", "lr: expected a value, got none"),
    ("train --lr fast", "lr: expected a valid number.*, got 'fast'"),
    ("train --lr 0", "lr: expected greater than 0, got '0'"),
    ("train --lr nan", "lr: expected a finite number, got 'nan'"),
    ("train --lr inf", "lr: expected a finite number, got 'inf'"),
    ("train --beta -1", "beta: expected greater than or equal to 0, got '-1'"),
    ("train --free-bits -1", "free_bits: expected greater than or equal to 0, got '-1'"),
    ("train --free-bits 0.5 --posterior delta", "free_bits: expected 0.0, as posterior 'delta' has no KL, got '0.5'"),
    ("train --mmd-weight -1", "mmd_weight: expected greater than or equal to 0, got '-1'"),
    ("train --scale 0", "scale: expected a number greater than 0, shared, pixel or optimal, got '0'"),
    ("train --threads 0", "threads: expected greater than or equal to 1, got '0'"),
    ("train --threads all", "threads: expected a valid integer.*, got 'all'"),
    ("train --threads 99999", "threads: expected less than or equal to 1024, got '99999'"),
    ("train --epochs 0", "epochs: expected greater than or equal to 1, got '0'"),
    ("train --epochs 1.5", "epochs: expected a valid integer.*, got '1.5'"),
    (
        "train --epochs ten --lr 0",
        "epochs: expected a valid integer.*, got 'ten'; lr: expected .*, got '0'",
    ),
    ("train --batch-size 0", "batch_size: expected .*1, got '0'"),
    ("train --latent-dim 0", "latent_dim: expected .*1, got '0'"),
    ("train --particles 0", "particles: expected .*1, got '0'"),
    ("train --warmup -1", "warmup: expected .*0, got '-1'"),
    ("train --cycle 5", "cycle: expected warmup from 1 to cycle beside it, got warmup = 0"),
    ("train --cycle 5 --warmup 6", "cycle: expected warmup from 1 to cycle beside it, got warmup = 6"),
    ("train --schedule cosin", "schedule: expected 'constant' or 'cosine', got 'cosin'; did you mean 'cosine'"),
    ("train --image-size 513", "image_size: expected less than or equal to 512, got '513'"),
    ("train --seed -1", "seed: expected greater than or equal to 0, got '-1'"),
    ("train --seed 4294967296", "seed: expected less than 4294967296, got '4294967296'"),
    ("train --hidden 5,x", "hidden: expected a valid integer.*, got 'x'"),
    ("train --hidden 5,0", "hidden: expected one or more layer widths of at least 1"),
    ("train --hidden ''", "hidden: expected one or more layer widths of at least 1"),
    ("train --validation 5000", "validation: expected fewer than the 1438 images, got 5000"),
    ("train --patience 3", "patience: expected validation > 0 beside it, got validation = 0"),
    ("train --device gpu", "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
    ("train --device cuda:99", r"device: expected cpu or one of this machine's \d+ CUDA devices, got 'cuda:99'"),
    # names
    ("train --pixels gray", "pixels: expected 'grey', .*, got 'gray'; did you mean 'grey'"),
    ("train --condition lable", "condition: expected 'none', .*, got 'lable'; did you mean 'label'"),
    ("train --dataset mnits", "dataset: expected one of digits, .*, got 'mnits'; did you mean 'mnist'"),
    ("train --preset mnist-vea", "preset: expected one of .*, got 'mnist-vea'; did you mean 'mnist-vae'"),
    ("train --network mpl", "network: expected one of mlp, .*, got 'mpl'; did you mean 'mlp'"),
    ("train --activation rleu", "activation: expected one of relu, .*, got 'rleu'; did you mean '.*relu'"),
    ("train --likelihood gausian", "likelihood: expected one of .*, got 'gausian'; did you mean 'gaussian'"),
    ("train --prior norml", "prior: expected one of .*, got 'norml'; did you mean 'normal'"),
    ("train --posterior diagnal", "posterior: expected one of .*, got 'diagnal'; did you mean 'diagonal'"),
    ("train --objective elboo", "objective: expected one of elbo.*, got 'elboo'; did you mean 'elbo'"),
    ("train --likelihood no.such:Class", "likelihood: expected a class at 'no.such:Class', got: "),
    ("train --prior math:Nope", "prior: expected a class at 'math:Nope', got: "),
    ("train --network missing.py:Net", "network: expected a class at 'missing.py:Net', got: "),
    ("train --posterior :Nope", "posterior: expected a class at ':Nope', got: "),
    ("train --posterior .near:Nope", "posterior: expected a class at '.near:Nope', got: "),
    ("train --likelihood math:pi", "likelihood: expected .*'math:pi'"),
    ("train --likelihood torch.nn:ReLU", "likelihood: expected .*domain"),
    # settings that do not fit each other
    (
        "train --likelihood gaussian --pixels dynamic",
        "'gaussian' expects grey or .* or standardized or real, got 'dynamic'",
    ),
    ("train --pixels standardized", "pixels: likelihood 'bernoulli' expects .*, got 'standardized'"),
    ("train --prior conditional", "prior: 'conditional' expects a condition .*, got condition = 'none'"),
    ("train --network conv --image-size 4", "network conv: expected images of 8 to 64 pixels a side, got 4×4"),
    ("train --dataset npz:plain.npz --condition label", "'label' expects images with labels, got none in"),
    (
        "train --dataset npz:constant.npz --pixels standardized --likelihood gaussian",
        "dataset: expected images that differ in constant.npz, got 60 equal ones",
    ),
    # data
    ("train --dataset mnist", "expected .*MNIST/raw/train-images-idx3-ubyte.* in data.* got.*--data-dir"),
    ("train --dataset mnist --data-dir nowhere", "MNIST.* nowhere.*--data-dir"),
    ("train --dataset mnist --data-dir taken.png", "MNIST.* taken.png.*--data-dir"),
    ("train --dataset folder:nowhere", "expected a folder of images at nowhere, got nothing"),
    ("train --dataset folder:taken.png", "expected a folder of images at taken.png, got a file"),
    ("train --dataset folder:empty", r"expected images \(.png, .*\) in empty, got none"),
    ("train --dataset folder:broken", "expected an image in broken/b.png, got"),
    ("train --dataset folder:mixture", "or all in one sub-folder per label, got a mixture"),
    ("train --dataset folder:sizes", "expected images of one size or --image-size, got 2 sizes in sizes"),
    ("train --dataset npz:nowhere.npz", "expected an npz or npy file at nowhere.npz, got: .*No such file"),
    ("train --dataset npz:text.npz", "expected an npz or npy file at text.npz, got: "),
    ("train --dataset npz:floats.npz", "expected images in floats.npz as bytes in 0..255, .*, got float64 from -3 to"),
    ("train --dataset npz:numbers.npz", "expected integers, NaN or words as labels in .*, got fractions"),
    # config files
    ("train --config nowhere.toml", "config: expected a TOML file at nowhere.toml, got: No such file"),
    ("train --config empty", "config: expected a TOML file at empty, got: Is a directory"),
    ("train --config latin.toml", "config: expected a TOML file at latin.toml, got: "),
    ("train --config malformed.toml", r"config: expected TOML.*, got: .*line 1"),
    ("train --config unknown.toml", "unknown setting 'latnet_dim'; did you mean 'latent_dim'"),
    ("train --config table.toml", "unknown setting 'training'"),
    ("train --config word.toml", "epochs: expected a valid integer, .*, got 'ten'"),
    ("train --config number.toml", "dataset: expected a valid string, got 3"),
    # run folders to write
    ("train --out run", "out: run already holds a run; expected --resume, --force or another --out"),
    ("train --out taken.png", "out: expected a folder at taken.png, got a file"),
    ("train --out taken.png/run", "out: expected a place that can be written at taken.png/run, got: "),
    # --resume
    ("train --resume --out taken.png", "out: expected a folder at taken.png, got a file"),
    ("train --resume --out unsaved", "run: expected checkpoint.pt in unsaved, got none"),
    ("train --resume --out bad-checkpoint", "run: expected a sound checkpoint.pt in bad-checkpoint, got: "),
    (
        "train --resume --out run --beta 2",
        "resume: expected beta 1.0, as run has it, got 2.0; a run that is resumed may change device, epochs, ",
    ),
    ("train --resume --out run --prior laplace", "prior: expected normal, as run has it, got laplace"),
    ("train --resume --out run --dataset npz:plain.npz", "dataset: expected digits, as run has it, got npz:plain.npz"),
    ("train --preset '' --dataset npz:plain.npz --epochs 1", "preset: expected one of .*, got ''"),
    ("train --out '' --dataset npz:plain.npz --epochs 1", "out: expected a path, got ''"),
    ("train --network builtins:int", "network: .*expected .*, got"),
    ("train --network builtins:print", "network: .*expected .*, got"),
    ("train --prior builtins:object", "prior: .*expected .*, got"),
    ("train --posterior builtins:list", "posterior: .*expected .*, got"),
    ("train --resume --out run --epochs 0", "epochs: expected greater than or equal to 1, got '0'"),
    ("train --resume --out run --config word.toml", "epochs: expected a valid integer, .*, got 'ten'"),
    ("train --resume --out run --preset mnist-vae", "resume: expected [a-z_]+ .*, as run has it, got "),
    ("train --resume --out run --seed 0 --hidden 17", "resume: expected hidden 16, as run has it, got 17"),
    ("train --resume --out run --force", "resume: .*force"),
    # plot
    ("plot", "run: expected a folder of pyrovae train, got none"),
    ("plot run --all", "--all"),
    ("plot nowhere", "run: expected a run folder .* at nowhere, got nothing"),
    ("plot taken.png", "run: expected a run folder .* at taken.png, got a file"),
    ("plot bad-config", "config: expected TOML.*, got: "),
    ("plot run loses", "figure: expected one of losses, .*, got 'loses'; did you mean 'losses'"),
    ("plot run losses loses", "got 'loses'; did you mean 'losses'"),
    ("plot run completions", "figure completions: expected a model that is given quadrants .*, got another"),
    ("plot run losses conditions", "figure conditions: expected a model that is given labels, or .*, got another"),
    ("plot quadrant1 interpolations", "figure interpolations: expected a model that is not given quadrants, got one"),
    ("plot bare samples", "run: expected model.safetensors in bare, got none"),
    ("plot bad-weights samples", "run: expected a sound model.safetensors in bad-weights, got: "),
    # sample
    ("sample", "run: expected a folder of pyrovae train, got none"),
    ("sample empty", "run: expected a run folder .* at empty, got a folder without one"),
    ("sample run --lable 3", "unknown flag --lable; did you mean '--label'"),
    ("sample run -n 0", "n: expected a whole number from 1 to 1000000000, got '0'"),
    ("sample run -n few", "n: expected a whole number from 1 .*, got 'few'"),
    ("sample run --seed -1", "seed: expected a whole number from 0 to 4294967295, got '-1'"),
    ("sample run --seed 99999999999999999999", "seed.*99999999999999999999"),
    ("sample run --label 3", "label: expected a model that is given labels, got one with condition 'none'"),
    ("sample label --label 3", "label: expected one of 7, ant, bee, got '3'"),
    ("sample label --label wasp", "label: expected one of 7, ant, bee, got 'wasp'"),
    ("sample run --out a.jpg", "out: expected a file that ends in .png or .npz or .csv, got 'a.jpg'"),
    ("sample run --out taken.png", "out: taken.png already exists; expected --force or another name"),
    ("sample run --out nowhere/a.png", "out: expected a folder at .*nowhere, got nothing"),
    ("sample bare", "run: expected model.safetensors in bare, got none"),
    # compare
    ("compare", "runs: expected folders of pyrovae train, got none"),
    ("compare run nowhere", "run: expected a run folder .* at nowhere, got nothing"),
    (
        "compare run unfinished",
        "expected a finished run at unfinished, got one without summary.json; go on with: .*--out unfinished",
    ),
    ("compare run --out a.pdf", "out: expected a file that ends in .png, got 'a.pdf'"),
    ("compare run --out taken.png", "out: taken.png already exists; expected --force or another name"),
    ("compare run --out nowhere/a.png", "out: expected a folder at .*nowhere, got nothing"),
    # report
    ("report", "runs: expected folders of pyrovae train, got none"),
    ("report nowhere", "run: expected a run folder .* at nowhere, got nothing"),
    ("report unfinished", "expected a finished run at unfinished, got one without summary.json; go on with: .*"),
    ("report run --out a.pdf", "out: expected a file that ends in .html, got 'a.pdf'"),
    ("report run --out nowhere/a.html", "out: expected a folder at .*nowhere, got nothing"),
    ("report run ''", "runs: expected a path, got ''"),
    ("report bad-config", "run: expected a sound config.toml|config: expected TOML"),
    # list
    ("list figurs", "(?=.*presets)(?=.*'figurs').*did you mean 'figures'"),
    # empty texts
    ("train --dataset ''", "dataset: expected one of digits, .*, got ''"),
    ("train --data-dir ''", "data_dir: expected a folder, got ''"),
    ("train --config ''", "config: expected a .*, got"),
    ("plot ''", "run: expected a path, got ''"),
    ("plot run ''", "figure: expected one of losses, .*, got ''"),
    ("evaluate ''", "run: expected a path, got ''"),
    ("sample ''", "run: expected a path, got ''"),
    ("sample run --out ''", "out: expected a path, got ''"),
    ("sample label --label ''", "label: expected one of 7, ant, bee, got ''"),
    ("compare run ''", "runs: expected a path, got ''"),
    ("compare run --out ''", "out: expected a path, got ''"),
    ("compare run --figure ''", "figure: expected one of losses, rate_distortion, got ''"),
    ("gradients ''", "run: expected a path, got ''"),
    ("gradients run --particles ''", "particles: expected a whole number from 2 to .*, got ''"),
    ("bench --out ''", "out: expected a path, got ''"),
    ("bench --rows ''", "rows: expected some of pyro, .*, got none"),
    ("list ''", "list: expected one of presets, .*, got ''"),
    ("sweep --seed 0,1 --out ''", "out: expected a path, got ''"),
    ("sweep --seed 0,1 --config ''", "config: expected a path, got ''"),
    ("sweep --seed ''", "seed: expected one or more values, .*, got ''"),
    ("''", "command: expected one of train, .*, got ''"),
    # odd names
    ("train --dataset .", r"dataset: expected one of .*; did you mean 'folder:\.'"),
    ("train --dataset ünïcode", "dataset: expected one of .*, got 'ünïcode'"),
    ("train --dataset npz:run", "dataset: expected an npz or npy file at run, got: a folder"),
    ("train --dataset npz:run/model.safetensors", "dataset: expected an npz or npy file at run/model.safetensors, got"),
    ("train --dataset 'folder:a\nb'", r"dataset: expected a text without control characters, got 'folder:a\\nb'"),
    ("train --dataset 'folder:\udcff'", "dataset: expected a text without control characters, got"),
    ("train --network 'math..sin:Foo'", "network: expected a class at 'math..sin:Foo', got"),
    ("train --network empty:Foo", "network: expected a class at 'empty:Foo', got"),
    ("train --posterior torch.nn:Linear", "posterior: Linear asks for 'in_features', expected one of"),
    ("train --objective builtins:list", "objective: expected an estimator with terms, .* got 'builtins:list'"),
    ("train --objective pyro.infer:SVI", "objective: SVI asks for 'model', expected one of"),
    ("train --likelihood pyro.distributions:Normal", "likelihood: expected a class with features, domain, forward"),
    ("train --device cuda:99999999999999999999", "device: expected auto, cpu, cuda or cuda:1, got"),
    ("train --device cuda:٣", "device: expected auto, cpu, cuda or cuda:1, got"),
    ("train --device cuda:", "device: expected auto, cpu, cuda or cuda:1, got 'cuda:'"),
    ("plot 'a\nb'", r"run: expected a run folder with a config.toml at a\\nb, got nothing"),
    (f"plot {'a' * 5000}", "run: expected a path, got: File name too long"),
    (f"plot run {'a' * 5000}", "figure: expected one of losses, .*, got 'aaa"),
    ("plot run losses/x", "figure: expected one of losses, .*, got 'losses/x'"),
    ("plot run math:sin", "figure: expected one of losses, .*, got 'math:sin'"),
    ("plot run pyrovae.figures.curves:losses", "figure: expected one of losses, .*, got 'pyrovae"),
    ("list Presets", "list: expected one of presets, .*; did you mean 'presets'"),
    ("train -x", "unknown flag -x"),
    # numbers that are none, too large or too long
    ("train --scale 1e-300", "scale: expected a number greater than 0, shared, pixel or optimal, got '1e-300'"),
    ("train --scale 1e300", "scale: expected a number greater than 0, shared, pixel or optimal, got '1e300'"),
    ("train --hidden 99999999999999999999", "hidden: expected less than or equal to 1000000000, got"),
    ("train --hidden 5;6", "hidden: expected a valid integer.*, got '5;6'"),
    (f"train --seed {'9' * 5000}", "seed: expected a number of fewer digits, got '999.*9...$"),
    ("train --latent-dim ٣", "latent_dim: expected a valid integer.*, got '٣'"),
    ("evaluate run --samples 0", "samples: expected a whole number from 1 to 1000000000, got '0'"),
    ("evaluate run --samples 1.5", "samples: expected a whole number from 1 to 1000000000, got '1.5'"),
    ("evaluate run --samples 9999999999999999999999", "samples: expected a whole number from 1 to .*, got '9999"),
    ("evaluate run --samples ''", "samples: expected a whole number from 1 to .*, got ''"),
    ("evaluate run --samples nan", "samples: expected a whole number from 1 to .*, got 'nan'"),
    ("evaluate run --images 0", "images: expected a whole number from 1 to .*, got '0'"),
    ("evaluate run --images all", "images: expected a whole number from 1 to .*, got 'all'"),
    ("evaluate run --seed 4294967296", "seed: expected a whole number from 0 to 4294967295, got '4294967296'"),
    ("evaluate run --ais-steps 0", "ais_steps: expected a whole number from 1 to .*, got '0'"),
    ("evaluate run --ais-steps many", "ais_steps: expected a whole number from 1 to .*, got 'many'"),
    ("sample run -n 99999999999", "n: expected a whole number from 1 to 1000000000, got '99999999999'"),
    ("sample run -n 1e3", "n: expected a whole number from 1 to .*, got '1e3'"),
    ("sample run --seed 0x10", "seed: expected a whole number from 0 to .*, got '0x10'"),
    ("sample label --label -1", "label: expected one of 7, ant, bee, got '-1'"),
    ("sample label --label ²", "label: expected one of 7, ant, bee, got '²'"),
    ("gradients run --draws 1", "draws: expected a whole number from 2 to .*, got '1'"),
    ("gradients run --draws x", "draws: expected a whole number from 2 to .*, got 'x'"),
    ("gradients run --images 0", "images: expected a whole number from 1 to .*, got '0'"),
    ("gradients run --particles 1", "particles: expected a whole number from 2 to .*, got '1'"),
    ("gradients run --particles 2,,3", "particles: expected a whole number from 2 to .*, got ''"),
    ("gradients run --particles ²", "particles: expected a whole number from 2 to .*, got '²'"),
    ("gradients run --particles 99999999999", "particles: expected a whole number from 2 to 1000000000, got"),
    ("gradients run --seed -1", "seed: expected a whole number from 0 to .*, got '-1'"),
    ("bench --repetitions 0", "repetitions: expected a whole number from 1 to .*, got '0'"),
    ("bench --hidden 5,6", "hidden: expected a whole number from 1 to .*, got '5,6'"),
    ("bench --latent-dim 0", "latent_dim: expected a whole number from 1 to .*, got '0'"),
    ("bench --batch-size x", "batch_size: expected a whole number from 1 to .*, got 'x'"),
    ("bench --batch-size 5000 --dataset digits", "batch-size: expected at most the 1,438 images, got 5000"),
    ("bench --particles 0", "particles: expected a whole number from 1 to .*, got '0'"),
    ("bench --threads 0", "threads: expected a whole number from 1 to .*, got '0'"),
    # missing values, values too many, arguments too many
    ("evaluate", "run: expected a folder of pyrovae train, got none"),
    ("gradients", "run: expected a folder of pyrovae train, got none"),
    ("evaluate run --samples", "samples: expected a value, got none"),
    ("sample run -n", "n: expected a value, got none"),
    ("train --preset", "preset: expected a value, got none"),
    ("evaluate run --ais=3", "ais: expected no value, got one"),
    ("sample run --draw=3", "draw: expected no value, got one"),
    ("bench --curves=3", "curves: expected no value, got one"),
    ("evaluate run label", "expected no more arguments, got 'label'"),
    ("sample run label", "expected no more arguments, got 'label'"),
    ("gradients run label", "expected no more arguments, got 'label'"),
    ("bench mnist", "expected no more arguments, got 'mnist'"),
    ("list presets figures", "expected no more arguments, got 'figures'"),
    ("evaluate run --sample 3", "unknown flag --sample; did you mean '--samples'"),
    ("plot run --force", "unknown flag --force"),
    ("bench --row torch", "unknown flag --row; did you mean '--rows'"),
    # files and folders
    ("sample run --out run", "out: expected a file that ends in .png or .npz or .csv, got 'run'"),
    ("sample run --out .png", "out: expected a file that ends in .png or .npz or .csv, got '.png'"),
    ("sample run --out a.PNG", "out: expected a file that ends in .png or .npz or .csv, got 'a.PNG'"),
    ("sample run --out taken.png/a.png", "out: expected a folder at .*taken.png, got a file"),
    ("sample run --out folder.png", "out: expected a file at folder.png, got a folder"),
    ("compare run --out folder.png --force", "out: expected a file at folder.png, got a folder"),
    ("sample run --out /proc/a.png", "out: expected a .*/proc.*, got"),
    ("compare run --out /proc/a.png", "out: expected a .*/proc.*, got"),
    ("bench --dataset digits --out taken.png", "out: expected a folder at .*taken.png, got a file"),
    ("bench --dataset digits --out taken.png/a/b", "out: expected a folder at .*taken.png, got a file"),
    ("compare taken.png malformed.toml", "run: expected a run folder .*, got taken.png, malformed.toml"),
    ("compare run empty", "run: expected a run folder with a config.toml at empty, got a folder without one"),
    ("compare run label --figure rate_distortion", "figure: expected --out FILE.png beside rate_distortion, got none"),
    ("compare run label --figure rate_distortion --out a.png", "expected runs of one protocol, got dataset"),
    ("evaluate nowhere", "run: expected a run folder .* at nowhere, got nothing"),
    ("evaluate bare", "run: expected model.safetensors in bare, got none"),
    ("evaluate run --resume", "run: expected evaluation.pt in run, got none"),
    ("evaluate run --device gpu", "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
    ("evaluate run --device cuda:9", "device: expected cpu or one of this machine's .* CUDA devices, got 'cuda:9'"),
    ("gradients bare", "run: expected model.safetensors in bare, got none"),
    ("gradients bad-weights", "run: expected a sound model.safetensors in bad-weights, got: "),
    ("gradients run --device gpu", "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
    ("bench --dataset digits --device gpu", "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
    ("bench --dataset npz:nowhere.npz", "dataset: expected an npz or npy file at nowhere.npz, got"),
    # pairs that do not fit
    ("train --precision tf32 --device cpu", "precision: expected fp32 or bf16 on cpu, got 'tf32'"),
    ("train --posterior flow --latent-dim 1", "posterior flow: expected two latent dimensions or more, got 1"),
    ("train --prior flow --latent-dim 1", "prior flow: expected two latent dimensions or more, got 1"),
    ("train --posterior delta --prior vamp", "prior: expected one that is not learned, .* got 'vamp'"),
    ("train --objective renyi", "particles: objective 'renyi' expects 2 or more .*, got 1"),
    ("train --likelihood laplace --scale optimal", "scale: 'optimal' fits likelihood gaussian, not Laplace"),
    ("train --likelihood bernoulli --pixels bytes", "pixels: likelihood 'bernoulli' expects .*, got 'bytes'"),
    # programs
    ("train --program hierarchcal", "program: expected one of vae, .*; did you mean 'hierarchical'"),
    ("train --program own_program.py:Nothing", "program: expected a class at 'own_program.py:Nothing', got: "),
    ("train --program torch.nn:Identity", "program: expected a subclass of pyrovae.Program, got 'torch.nn:Identity'"),
    ("train --program hierarchical --latent-dim 3", "latent_dim: expected two or more numbers .*, got 3"),
    ("train --latent-dim 4,2", "latent_dim: expected one number for program 'vae', which has one code, got 4,2"),
    ("train --skip yes", "skip: expected no, as program 'vae' does not read it .hierarchical does., got 'yes'"),
    (
        "train --labelled 5",
        "labelled: expected 0, as program 'vae' does not read it .semi_supervised or stacked does., got '5'",
    ),
    (
        "train --program semi_supervised --labelled 2000",
        "labelled: expected at most the 1438 training images .*, got 2000",
    ),
    (
        "train --program semi_supervised --dataset npz:plain.npz",
        "program semi_supervised: expected images with two classes",
    ),
    (
        "train --program semi_supervised --condition label",
        "condition: expected none, as program 'semi_supervised' does",
    ),
    ("train --program mixture --prior vamp", "prior: expected normal, as program 'mixture' does not read it"),
    ("train --program mixture --clusters 1", "clusters: expected greater than or equal to 2, got '1'"),
    (
        "train --program discrete --gradient enumeration",
        "gradient: expected at most 1,024 codes to sum over, got 10.20",
    ),
    (
        "train --program discrete --posterior flow",
        "posterior: expected diagonal, as program 'discrete' does not read it",
    ),
]


def assert_refused(line, expected, folder, capsys):
    """Run a command line; check that it prints one line, exits with 2 and changes no file."""
    before = listing(folder)
    assert pyrovae(line) == 2
    error = capsys.readouterr().err
    assert error.startswith("pyrovae: ")
    assert error.count("\n") == 1
    assert re.search(expected, error)
    assert listing(folder) == before


@pytest.mark.parametrize(("line", "expected"), BAD_INPUT, ids=[line[:60] for line, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_leaves_the_disk_as_it_was(line, expected, world, capsys):
    assert_refused(line, expected, world, capsys)


NOT = {  # TOML values that a setting of this type cannot have
    "int": ["'word'", "1.5", "true", "[1]", "{a = 1}", "-1", "10000000000", "1979-05-27", "nan", "''"],
    "float": ["'word'", "nan", "inf", "-1", "true", "[1.0]", "1e300", "1979-05-27", "''"],
    "Literal": ["'nonsense'", "3", "false", "[]", "''"],
    "tuple": ["'word'", "[]", "[0]", "[1.5]", "[true]", "[[1]]", "true", "-1", "{a = 1}", "[10000000000]", "''"],
    "Path": ["3", "true", "['a']", "''", '"a\\u0000b"'],
    "str": ["3", "1.5", "false", "['a']", "{a = 'b'}", '"a\\nb"'],
}


def kind_of(name):
    annotation = str(Config.model_fields[name].annotation)
    return next(kind for kind in ("tuple", "Literal", "Path", "int", "float", "str") if kind in annotation)


def may_be(name, text):
    """Whether a text is valid after all: the layers between two codes may be none of their own."""
    return name in ("upper_hidden", "shape", "columns") and text in ("[]", "''")


WRONG = [(name, text) for name in Config.model_fields for text in NOT[kind_of(name)] if not may_be(name, text)]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_setting_of_the_wrong_type_in_a_file_is_named(name, text, here, capsys):
    (here / "my.toml").write_text(f"{name} = {text}", encoding="utf-8")
    assert_refused("train --config my.toml", rf"{name}: .*expect.*, got ", here, capsys)


NOT_ON_THE_COMMAND_LINE = {
    "int": ["word", "nan", "-1", "''", "99999999999", "0x10"],
    "float": ["word", "nan", "-1", "''", "1e300"],
    "Literal": ["word", "''"],
    "tuple": ["word", "nan", "-1", "''", "99999999999"],
}
FLAGS = [
    (name, text)
    for name in Config.model_fields
    for text in NOT_ON_THE_COMMAND_LINE.get(kind_of(name), ())
    if not may_be(name, text)
]


@pytest.mark.parametrize(("name", "text"), FLAGS)
@pytest.mark.parametrize("command", ["train", "sweep --seed 0,1"])
def test_a_setting_of_the_wrong_type_in_a_flag_is_named(command, name, text, here, capsys):
    assert_refused(f"{command} --{name.replace('_', '-')}={text}", rf"{name}: expected .*, got ", here, capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
@pytest.mark.parametrize("line", ["train --device cuda", "train --resume --out run --device cuda"])
def test_no_cuda_is_bad_input(line, world, capsys):
    expected = "^pyrovae: device: expected cpu or one of this machine's 0 CUDA devices, got 'cuda'\n$"
    assert_refused(line, expected, world, capsys)


# --- damaged run folders ---


def rewrite(path, change):
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


DAMAGES = {
    "junk": lambda path: path.write_bytes(b"\xff\x00junk\n{"),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3]),
    "lines": lambda path: path.write_text(
        "".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-12]), encoding="utf-8"
    ),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "list": lambda path: path.write_text("[]\n", encoding="utf-8"),
    "object": lambda path: path.write_text("{}\n", encoding="utf-8"),
    "null": lambda path: path.write_text("null\n", encoding="utf-8"),
    "words": lambda path: path.write_text(
        re.sub(r"(?<=: )-?[0-9.e-]+", '"many"', path.read_text(encoding="utf-8")), encoding="utf-8"
    ),
    "brackets": lambda path: path.write_text("[" * 100_000 + "\n", encoding="utf-8"),
    "tensors": lambda path: save_file({"a": torch.zeros(2)}, path),
    "metadata": lambda path: save_file({"a": torch.zeros(2)}, path, {"pyrovae": "{}"}),
    "other": lambda path: torch.save({"model": {"a": torch.zeros(2)}, "optimizer": {}, "progress": {}}, path),
    "number": lambda path: torch.save(3, path),
}
ANY, JSON = ["junk", "empty", "cut", "folder"], ["list", "object", "null", "words", "brackets"]
WRITTEN = {  # by `train` and `evaluate`: how a file may be damaged, and the commands that read it
    "config.toml": (
        ["junk", "folder", "lines", "list", "object", "brackets"],
        ["evaluate", "plot", "sample", "compare", "resume"],
    ),
    "metrics.jsonl": (["junk", "folder", *JSON], ["plot", "compare", "resume"]),
    "model.safetensors": ([*ANY, "tensors", "metadata"], ["evaluate", "plot", "sample", "gradients"]),
    "checkpoint.pt": ([*ANY, "other", "number"], ["resume"]),
    "summary.json": ([*ANY, *JSON], ["compare"]),
    "evaluation.json": ([*ANY, *JSON], ["compare"]),
    "evaluation.pt": ([*ANY, "other", "number"], ["again"]),
    "progress.safetensors": ([*ANY, "tensors"], ["plot"]),
}
LINES = {
    "evaluate": "evaluate label --samples 2 --device cpu",
    "again": "evaluate label --samples 2 --device cpu --resume",
    "plot": "plot label losses samples progress",
    "sample": "sample label -n 2 --out a.npz",
    "gradients": "gradients label --draws 2 --images 2 --particles 2",
    "compare": "compare label --out a.png",
    "resume": "train --resume --out label --epochs 3",
}
DAMAGED = [(file, damage, name) for file, (damages, names) in WRITTEN.items() for damage in damages for name in names]


@pytest.mark.parametrize(("file", "damage", "command"), DAMAGED)
def test_a_damaged_file_of_a_run_is_named(file, damage, command, world, capsys):
    run = world / "label"
    evaluation = {"log_likelihood": -40.0, "standard_error": 0.5, "samples": 5, "images": 12}
    (run / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    underway = Estimates(run, {"samples": 2, "images": 12, "seed": 0, "device": "cpu"})
    underway.add({"elbo": torch.zeros(12)})
    underway.write()
    DAMAGES[damage](run / file)
    assert_refused(LINES[command], r"(run|config|checkpoint|resume): .*expected .*, got", world, capsys)


def test_weights_and_checkpoints_of_another_model_are_refused(world, capsys):
    for file, line in (("model.safetensors", "sample label -n 2"), ("checkpoint.pt", LINES["resume"])):
        shutil.copy(world / "run" / file, world / "label" / file)
        assert_refused(line, r"(run|checkpoint): expected .*, got", world, capsys)
