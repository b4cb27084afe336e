"""Profile-driven choice: which patterns keep a model's attention mass, and at what price.

Stands beside the simulator at the end of the pipeline. `capture` records queries and keys of a model,
`fit` measures what each pattern keeps of its softmax probabilities, lets a solver choose under a density
budget, and writes the choice as a plan file.
"""
