r"""Training of our own weights from free photographs: `superglue-ros photographs` and `train`.

The chain is the papers' own, in four stages that can each be stopped and go on with the same
command; every one leaves weights, a checkpoint and a log in the output folder:

    superglue-ros photographs out/photographs --exclude EVALUATION_IMAGES
    superglue-ros train synthetic          # optional: a first detector from drawn shapes
    superglue-ros train pairs              # a look at what the matcher will learn from
    superglue-ros train label              # keypoints of the photographs
    superglue-ros train features           # both heads of SuperPoint
    superglue-ros train matcher            # SuperGlue on the trained extractor

The matcher also learns from pairs that were made once, which is what a CPU has the time for, and
SIFT with its 128-d descriptors is what it can learn to match in an hour:

    superglue-ros train cache --extractor sift --pairs 3200
    superglue-ros train matcher --extractor sift --cached --trained-layers 4 --precision bfloat16

On a GPU that is lent for minutes, `train all` does label, features and matcher: it measures the
machine's rate and sets the number of steps by the minutes given, stops each call in time, and goes
on with the next. It needs PyTorch, NumPy, safetensors and rich there, and Pillow where there is no
OpenCV. Two archives travel, the weights come back in pieces below 16 MiB:

    mkdir -p out/carry && cp out/photographs/{train-00,validation-00}.zip out/carry
    python -m superglue_ros.cli.main train all --photographs out/carry --output out/train \
        --minutes 8.5 --features-minutes 8 --matcher-minutes 15 \
        --initial-superpoint superpoint --pieces out/pieces
    cat out/pieces/superglue.safetensors.* > superglue.safetensors

A later lease improves on what an earlier one left with `--initial-superpoint` and
`--initial-superglue`. Then `superglue-ros eval` measures, `superglue-ros train plot` draws the
logs, and weights that beat the shipped ones are put into `weights/` with digest and model card.

`synthesis` makes the images and their truth, `stages` learn, `loop` runs them, `run` ties them to
files. Nothing but the commands imports OpenCV, so that training machines do without it.
"""
