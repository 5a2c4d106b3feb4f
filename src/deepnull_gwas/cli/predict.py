"""The command `predict`: DeepNull predictions for any GWAS engine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from deepnull_gwas.cli.workflow import joined
from deepnull_gwas.text import split_names
from deepnull_gwas.traits import TRAITS, trait_of

PREDICT = """\
Predict phenotypes from covariates, out of fold (DeepNull), for use as one more covariate in any GWAS engine.

The input is a table with the columns FID and IID first, or IID alone (`#FID` and `#IID` are fine), then targets and
covariates, separated by tabs, commas, semicolons or spaces (docs/input.md); a name with a comma in it goes in backticks
here. The output is the same table, rows and columns untouched, with one more column `<target>_deepnull_covariate` for
each target: what the prediction has beyond its linear part, as in the deepnull arm of the workflow; in units of the
target, or of the logit for binary ones; NA where a covariate is missing. Add it to the covariates, all of which stay.
The prediction itself is written as `<target>_phenotype_prediction` with --prediction.

  deepnull-gwas predict --input P.tsv --output O.tsv --target bmd --covariates age,sex,PC1,PC2 --trait quantitative
  deepnull-gwas predict --input P.tsv --output O.tsv --target bmd,asthma --trait quantitative,binary \\
      --covariates age,sex,site --categorical site --metrics M.json --save-model model.npz
  deepnull-gwas predict --apply model.npz --input new.tsv --output new_predicted.tsv
"""


class _Models:
    """The names of the models, from the registry: imported when a help text asks for them, not to parse a line."""

    def __iter__(self) -> Iterator[str]:
        from deepnull_gwas.deepnull.recipe import AUTO
        from deepnull_gwas.deepnull.registry import KINDS

        return iter([AUTO, *KINDS])

    def __contains__(self, name: str) -> bool:
        """Return True: what predicts is checked with everything else, and has one message."""
        return True


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command `predict`."""
    predict = commands.add_parser(
        "predict",
        help="add DeepNull predictions to a table of phenotypes and covariates",
        description=PREDICT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    predict.add_argument("--input", required=True, metavar="TABLE", help="table of people")
    predict.add_argument("--output", required=True, metavar="TABLE", help="where the table goes (.gz: compressed)")
    predict.add_argument("--target", action="append", type=split_names, metavar="NAME,...", help="columns to predict")
    predict.add_argument(
        "--covariates", action="append", type=split_names, metavar="NAME,...", help="columns to predict from"
    )
    predict.add_argument(
        "--categorical",
        action="append",
        type=split_names,
        metavar="NAME,...",
        help="covariates whose values are names of groups",
    )
    predict.add_argument(
        "--trait",
        type=split_names,
        metavar="KIND,...",
        help="quantitative or binary (0/1, or 1/2 with 2 the case): one for all targets, or one each",
    )
    predict.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="folds of the cross-fitting, at least 3 (default: 10 below 2,000 people, else 5)",
    )
    predict.add_argument("--seed", type=int, default=1, metavar="N", help="root of all randomness (default 1)")
    predict.add_argument(
        "--model",
        default="auto",
        choices=_Models(),
        metavar="MODEL",
        help="what predicts: %(choices)s (default auto: all, weighed on people they have not seen)",
    )
    predict.add_argument(
        "--recipe",
        default="default",
        choices=["default", "original"],
        help="original: the original DeepNull, to repeat an analysis",
    )
    predict.add_argument(
        "--device",
        default="auto",
        choices=["auto", "cpu", "cuda"],
        help="where networks and Gaussian processes are fitted",
    )
    predict.add_argument(
        "--missing",
        type=split_names,
        metavar="TEXT,...",
        help="what stands for a missing value (default NA and the like, and '.')",
    )
    predict.add_argument(
        "--compare",
        action="store_true",
        help=(
            "fit also the models that the prediction does not need (of auto: those without a weight), to see in "
            "--metrics how they compare"
        ),
    )
    predict.add_argument(
        "--prediction",
        action="store_true",
        help="also write the prediction itself, <target>_phenotype_prediction (binary targets: its logit)",
    )
    predict.add_argument(
        "--study",
        metavar="COHORT/STUDY",
        help="take folds and seeds as the workflow does for this study, to repeat its covariate (one target)",
    )
    predict.add_argument("--metrics", metavar="JSON", help="write accuracy by model and fold")
    predict.add_argument("--save-model", metavar="NPZ", help="write the models, for --apply")
    predict.add_argument("--apply", metavar="NPZ", help="apply saved models to new people instead of training")
    predict.add_argument("--verbose", action="store_true", help="say what is being done")


def _check(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Refuse options of `deepnull-gwas predict` that do not go together."""
    targets, covariates = joined(given.target), joined(given.covariates)
    if given.apply is not None:
        if targets or covariates or given.trait or given.save_model:
            top.error(
                "predict: --apply takes targets and covariates from the saved model; leave out --target, --covariates, "
                "--trait and --save-model"
            )
        return
    for option, value in (("--target", targets), ("--covariates", covariates), ("--trait", given.trait)):
        if not value:
            top.error(f"predict: {option} is needed (or --apply with a saved model)")
    if len(given.trait) not in (1, len(targets)):
        top.error(
            f"predict: --trait has {len(given.trait)} entries, expected 1 or one for each of the {len(targets)} targets"
        )
    if wrong := [t for t in given.trait if t not in TRAITS]:
        top.error(f"predict: --trait: found '{wrong[0]}', expected {' or '.join(TRAITS)}")
    if given.study is not None and (given.study.count("/") != 1 or len(targets) != 1):
        top.error(f"predict: --study: found '{given.study}', expected COHORT/STUDY, and one --target")
    if given.folds is not None and given.folds < 3:
        top.error(
            f"predict: --folds: found {given.folds}, expected at least 3 (one is predicted, one validates, the others "
            "train)"
        )


def run(given: argparse.Namespace, top: argparse.ArgumentParser) -> None:
    """Run `deepnull-gwas predict`."""
    import logging

    _check(given, top)
    logging.basicConfig(level=logging.INFO if given.verbose else logging.WARNING, format="%(levelname)s: %(message)s")
    from deepnull_gwas.deepnull.predict import MISSING, Ask, Files, apply_model, predict_table

    missing = MISSING if given.missing is None else ["", *given.missing]
    files = Files(given.input, given.output, given.metrics, given.save_model)
    if given.apply is not None:
        report = apply_model(files, given.apply, missing)
        for target, about in report.items():
            print(f"{target}: {about['predicted']} of {about['people']} people predicted")
        return
    targets = joined(given.target)
    ask = Ask(
        targets,
        given.trait * len(targets) if len(given.trait) == 1 else given.trait,
        joined(given.covariates),
        joined(given.categorical),
        study=None if given.study is None else tuple(given.study.split("/")),
        folds=given.folds,
        seed=given.seed,
        model=given.model,
        recipe=given.recipe if given.recipe == "original" else None,
        device=given.device,
        compare=given.compare,
        missing=missing,
        prediction=given.prediction,
    )
    report = predict_table(files, ask)
    for target, about in report.items():
        key = trait_of(about["trait"]).measure
        linear = about["models"].get("linear")
        compared = f" (linear model {linear[key]:.4f})" if linear else ""
        accuracy = f"{key} {about['prediction'][key]:.4f}{compared}"
        print(f"{target}: {accuracy} in {about['people']['out of fold']} people, out of fold")
