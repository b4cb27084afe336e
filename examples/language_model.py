"""A language model of transformers with attention sinks and a sliding window: trained, then generating."""

import torch
import transformers

import attndsl.integrations.transformers  # noqa: F401 - makes "attndsl:..." a name of attention

config = transformers.LlamaConfig(
    vocab_size=64,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
)
model = transformers.LlamaForCausalLM._from_config(
    config, attn_implementation="attndsl:streaming?sink=4&window=60"
)

# A training step: text that repeats every 16 tokens is soon learned.
text = torch.arange(512)[None] % 16
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for step in range(12):
    loss = model(text, labels=text).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if step % 4 == 0:
        print(f"step {step}: loss {loss.item():.3f}")

# Generation: each step attends with one query to the cache; keys outside the window are not read.
model.eval()
prompt = text[:, :100]
attention_mask = torch.ones_like(prompt)
found = model.generate(
    prompt, attention_mask=attention_mask, max_new_tokens=8, do_sample=False, pad_token_id=0
)
print(f"after {prompt[0, -3:].tolist()}: {found[0, 100:].tolist()}")

# Pattern and causality are both kept, so `full` is the model's own attention.
with torch.no_grad():
    model.set_attn_implementation("attndsl:full")
    ours = model(prompt).logits
    model.set_attn_implementation("sdpa")
    assert torch.allclose(ours, model(prompt).logits, atol=1e-4)
