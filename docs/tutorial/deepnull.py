# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # DeepNull in one minute
#
# Why covariates whose effects are not straight lines cost power, and what DeepNull does about it: on a small
# simulated cohort, where the truth is known.
#
# This page is a notebook, `docs/tutorial/deepnull.ipynb` in the repository. Everything in it runs in about a minute on
# two cores. To run it yourself, copy it to an empty folder, since it writes files, and open it in JupyterLab or VS Code
# with the Python of the repository's `.venv` as its kernel.

# %%
import json
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

# where the command `deepnull-gwas` is: beside the Python of this notebook
os.environ["PATH"] += f":{Path(sys.executable).parent}"

# %% [markdown]
# ## A cohort with a known truth
#
# The workflow can simulate a cohort in place of reading one. We ask for 3,000 people and three phenotypes:
#
# * `lung_function`: genes matter, and covariates act **non-linearly**;
# * `height`: genes matter, and covariates act **linearly**;
# * `chance`: covariates act non-linearly, but **no gene** matters.
#
# Covariates explain 40 % of the variance of each. A configuration and a sheet of studies say so. Your own data
# need the same two files.

# %%
Path("config.yaml").write_text("""\
studies: studies.tsv
cohorts:
  island:
    genome_build: GRCh38
    simulate:
      people: 3000
      variants: 9000
      chromosomes: [1, 2, 3]
      sibling_pairs: 0
      parent_child_pairs: 0
      truth_columns: true
      phenotypes:
        lung_function:
          {trait: quantitative, heritability: 0.3, causal_variants: 40,
           covariate_effects: nonlinear, covariate_variance: 0.4}
        height:
          {trait: quantitative, heritability: 0.3, causal_variants: 40,
           covariate_effects: linear, covariate_variance: 0.4}
        chance:
          {trait: quantitative, heritability: 0, causal_variants: 0,
           covariate_effects: nonlinear, covariate_variance: 0.4}
structure: {pcs: 2}
association: {chunks: 1}
# one quick model; `auto`, the default, weighs several
deepnull: {model: splines, compare: false}
""")

names = ["lung_function", "height", "chance"]
studies = pd.DataFrame({"study": names, "cohort": "island", "phenotype": names})
studies["trait"] = "quantitative"
studies["covariates"] = "age,sex,bmi,smoking,site"
studies["categorical_covariates"] = "site"
studies.to_csv("studies.tsv", sep="\t", index=False)
studies.head()

# %% [markdown]
# One command runs everything: quality control, principal components, the predictions, and the tests of every
# variant, with DeepNull and without. What it says as it goes is in `run.log`.

# %% language="bash"
# deepnull-gwas run --configfile config.yaml --cores 2 -- \
#     results/island/{lung_function,height,chance}/comparison.tsv > run.log 2>&1

# %%
# as in real tables, some people lack a value
people = pd.read_csv("results/island/simulated/samples.tsv", sep="\t").dropna()
people.head()

# %% [markdown]
# ## What a straight line leaves over
#
# Lung function against age, as the mean of each half year. The simulation has written down what the covariates
# really do (`lung_function_covariates`), so we can draw that, too.

# %%
GREY, ORANGE = "#56718f", "#d55e00"
half_year = (people["age"] * 2).round() / 2
fig, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for ax, sex, name in zip(axes, (1, 2), ("men", "women")):
    here = people["sex"] == sex
    mean = people[here].groupby(half_year[here]).mean(numeric_only=True)
    slope, level = np.polyfit(people["age"][here], people["lung_function"][here], 1)
    ax.plot(mean.index, mean["lung_function"], ".", color="0.7", label="mean of the phenotype")
    ax.plot(mean.index, mean["lung_function_covariates"], color="black", label="what covariates do")
    ax.plot(mean.index, level + slope * mean.index, color=GREY, label="a straight line")
    ax.set(title=name, xlabel="age (years)")
axes[0].set_ylabel("lung function (standardised)")
axes[0].legend(frameon=False, fontsize=8)
plt.show()

# %% [markdown]
# The straight line misses most of it. Whatever it misses stays in the residual, as noise for the test of every
# variant. How much is that? We regress the phenotype on the covariates linearly, and compare with the truth.


# %%
def r2(y, fitted):
    """Share of the variance explained."""
    return 1 - np.sum((y - fitted) ** 2) / np.sum((y - y.mean()) ** 2)


def straight(table):
    """The covariates as an ordinary GWAS has them: a column each."""
    numbers = table[["age", "sex", "bmi", "smoking"]].to_numpy(float)
    sites = pd.get_dummies(table["site"], drop_first=True).to_numpy(float)
    return np.column_stack([np.ones(len(table)), numbers, sites])


rows = []
for name in ("lung_function", "height", "chance"):
    y, X = people[name].to_numpy(), straight(people)
    rows.append(
        {
            "phenotype": name,
            "straight lines": r2(y, X @ np.linalg.lstsq(X, y)[0]),
            "the truth": np.corrcoef(y, people[f"{name}_covariates"])[0, 1] ** 2,
        }
    )
explained = pd.DataFrame(rows).set_index("phenotype")
explained.round(3)

# %% [markdown]
# For `lung_function`, straight lines explain about a third of what the covariates do. A test statistic
# (chi-square) of a causal variant is proportional to the number of people, divided by the variance that is left.
# So, if the covariates were modelled perfectly, the statistic would grow by (1 - R² of straight lines) / (1 - R²
# of the truth):

# %%
((1 - explained["straight lines"]) / (1 - explained["the truth"])).round(2)

# %% [markdown]
# That is worth as much as some 40 % more people. For `height` there is nothing to gain.
#
# ## `predict`: one more covariate
#
# DeepNull predicts the phenotype from the covariates alone, by a flexible model, **out of fold**: nobody's own
# phenotype takes part in their own prediction. If you have a GWAS engine of your own, this is all you need:
# `deepnull-gwas predict` adds the covariate to a table.

# %% language="bash"
# deepnull-gwas predict --input results/island/simulated/samples.tsv --output predicted.tsv \
#     --target lung_function --trait quantitative \
#     --covariates age,sex,bmi,smoking,site --categorical site \
#     --model splines --prediction

# %%
predicted = pd.read_csv("predicted.tsv", sep="\t")
new = ["lung_function_phenotype_prediction", "lung_function_deepnull_covariate"]
predicted[["IID", "lung_function", *new]].head()

# %% [markdown]
# `lung_function_phenotype_prediction` is the prediction. `lung_function_deepnull_covariate` is what it has beyond
# straight lines. The latter is the one to add to a regression, beside the ordinary covariates. Here is the
# prediction against the truth, which the model has not seen:

# %%
fig, ax = plt.subplots(figsize=(3.6, 3.4), layout="constrained")
ax.plot(predicted["lung_function_covariates"], predicted[new[0]], ".", ms=2, color=ORANGE)
ax.axline((0, 0), slope=1, color="0.6", lw=0.8)
ax.set(xlabel="what the covariates do", ylabel="predicted, out of fold")
plt.show()

# %% [markdown]
# ## Both arms
#
# The workflow has done this for all three studies. It has then tested every variant twice: in the arm `baseline`
# with the ordinary covariates, in the arm `deepnull` with the DeepNull covariate in addition.

# %%
arms = ("baseline", "deepnull")


def sumstats(study):
    """Summary statistics of both arms, side by side."""
    paths = [f"results/island/{study}/{arm}/sumstats.tsv.gz" for arm in arms]
    one, other = (pd.read_csv(path, sep="\t") for path in paths)
    return one.merge(other, on="original_id", suffixes=[f"_{arm}" for arm in arms])


def plot_arms(ax, study):
    """-log10 p with DeepNull against without."""
    both = sumstats(study)
    x, y = (both[f"neg_log_10_p_value_{arm}"] for arm in arms)
    ax.plot(x, y, ".", ms=3, color="0.4")
    ax.axline((0, 0), slope=1, color="0.6", lw=0.8)
    for line in (ax.axhline, ax.axvline):
        line(-np.log10(5e-8), color="#b2182b", lw=0.8, ls="--")
    ax.set(title=study, xlabel="−log10 p, baseline", ylabel="−log10 p, DeepNull")


fig, ax = plt.subplots(figsize=(3.8, 3.8), layout="constrained")
plot_arms(ax, "lung_function")
plt.show()

# %% [markdown]
# Points above the diagonal gained. `comparison.json` sums it up. The ratio of chi-squares at the loci is what
# theory lets us expect:


# %%
def compare(study):
    """What the workflow says of both arms."""
    found = json.loads(Path(f"results/island/{study}/comparison.json").read_text())
    print("loci:", found["loci"])
    ratio, expected = found["chi2_ratio"], found["chi2_ratio_expected"]
    print(f"ratio of chi-squares at the loci: {ratio:.2f}, expected {expected:.2f}")


compare("lung_function")

# %% [markdown]
# ## Are the gains real?
#
# In a simulation we can ask. These are the 40 causal variants of `lung_function`. How many are found at 5e-8?

# %%
truth = pd.read_csv("results/island/simulated/truth.tsv", sep="\t")
truth = truth[truth["phenotype"] == "lung_function"]
causal = truth.merge(sumstats("lung_function"), left_on="id", right_on="original_id")
found = {arm: causal[f"neg_log_10_p_value_{arm}"] > -np.log10(5e-8) for arm in arms}
print("causal variants tested:", len(causal))
for arm in arms:
    print(f"found by {arm}:", found[arm].sum())
print("found by deepnull alone:", (found["deepnull"] & ~found["baseline"]).sum())
print("found by baseline alone:", (found["baseline"] & ~found["deepnull"]).sum())

# %% [markdown]
# And the loci that DeepNull gained, as the workflow lists them: how far is the nearest causal variant?

# %%
loci = pd.read_csv("results/island/lung_function/comparison.tsv", sep="\t")


def nearest(row):
    """Distance to the nearest causal variant, in kb."""
    there = causal[causal["chromosome"] == row["chromosome"]]
    return (there["position"] - row["base_pair_location"]).abs().min() / 1000


gained = loci[loci["verdict"] == "gained"].copy()
gained["nearest_causal_kb"] = gained.apply(nearest, axis=1)
p_values = [f"neg_log_10_p_value_{arm}" for arm in arms]
gained[["chromosome", "base_pair_location", *p_values, "nearest_causal_kb"]].round(1)

# %% [markdown]
# A locus can be lost, too: a p-value just beyond the threshold falls back a little when the noise changes. Gains
# should outnumber losses wherever covariates act non-linearly. `comparison.tsv` lists both.
#
# ## No genes, no hits
#
# More power is worth nothing if it comes with false positives. `chance` has the same strong covariates, and no
# causal variant. Its p-values should lie on the diagonal, in both arms:

# %%
both = sumstats("chance")
fig, ax = plt.subplots(figsize=(3.6, 3.4), layout="constrained")
for arm, color in zip(arms, (GREY, ORANGE)):
    observed = np.sort(both[f"neg_log_10_p_value_{arm}"])[::-1]
    expected = -np.log10((np.arange(len(observed)) + 0.5) / len(observed))
    chi2 = (both[f"beta_{arm}"] / both[f"standard_error_{arm}"]) ** 2
    label = f"{arm}, lambda {chi2.median() / 0.4549:.2f}"
    ax.plot(expected, observed, ".", ms=3, color=color, label=label)
ax.axline((0, 0), slope=1, color="0.6", lw=0.8)
ax.set(title="chance", xlabel="−log10 p, expected", ylabel="−log10 p, observed")
ax.legend(frameon=False, fontsize=8)
plt.show()

hits = {arm: int((both[f"neg_log_10_p_value_{arm}"] > -np.log10(5e-8)).sum()) for arm in arms}
print("variants below 5e-8:", hits)

# %% [markdown]
# This is one phenotype. [Calibration and power](../validity.md) has thirty of each kind, with intervals.
#
# ## When it buys nothing
#
# The covariates of `height` act linearly. DeepNull's models see that they bring nothing beyond straight lines,
# and get next to no weight. Both arms are then the same:

# %%
fig, ax = plt.subplots(figsize=(3.8, 3.8), layout="constrained")
plot_arms(ax, "height")
plt.show()

compare("height")

# %% [markdown]
# So you need not know beforehand whether covariates act linearly. You lose some minutes of computing.
#
# ## What next
#
# * [Your own cohort in 30 minutes](own_cohort.md)
# * [How DeepNull works](../explanation/deepnull.md), and [where it brings nothing, or harm](../limits.md)
