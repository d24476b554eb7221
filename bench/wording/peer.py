"""One peer at one task, in a process of its own; prints a JSON object.

    peer.py train PEER TEXTS MODEL --vocab-size N     # learns from the lines of TEXTS with two threads
    peer.py encode PEER TEXTS MODEL IDS               # encodes the lines of TEXTS with one thread, writes their ids to IDS
    peer.py compare OURS THEIRS                       # two trained models: what they have in common
"""
import argparse
import importlib.metadata
import json
import os
import time

# GPT-2's pattern, as `ByteLevel` of Hugging Face has it.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SPECIALS = ["<PAD>", "<UNK>", "<BOS>", "<EOS>"]


def lines(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")


def train_youtokentome(texts, model, size):
    import youtokentome

    youtokentome.BPE.train(data=texts, model=model, vocab_size=size, coverage=1.0, n_threads=2)


def train_tokenizers(texts, model, size):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(lines(texts), trainer)
    tokenizer.save(model)


def train_rustbpe(texts, model, size):
    import rustbpe

    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(lines(texts), size - len(SPECIALS), pattern=GPT2)


def encoder_youtokentome(model):
    import youtokentome

    bpe = youtokentome.BPE(model, n_threads=1)
    return lambda texts: bpe.encode(texts, output_type=youtokentome.OutputType.ID)


def encoder_tokenizers(model):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(model)
    return lambda texts: [one.ids for one in tokenizer.encode_batch_fast(texts)]


def encoder_tiktoken(model):
    import tiktoken

    with open(model, encoding="utf-8") as file:
        vocabulary = json.load(file)["model"]["vocab"]
    byte = {character: value for value, character in enumerate(byte_characters())}
    ranks = {bytes(map(byte.get, piece)): rank for piece, rank in vocabulary.items() if piece not in SPECIALS}
    encoding = tiktoken.Encoding("trained", pat_str=GPT2, mergeable_ranks=ranks, special_tokens={})
    return lambda texts: [encoding.encode_ordinary(text) for text in texts]


def byte_characters():
    """The character that GPT-2 writes each byte as."""
    others = iter(range(256, 512))
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    return [chr(value if value in printable else next(others)) for value in range(256)]


def train(args):
    version = importlib.metadata.version(args.peer)
    started = time.perf_counter()
    globals()[f"train_{args.peer}"](args.texts, args.model, args.vocab_size)
    return {"version": version, "seconds": time.perf_counter() - started}


def encode(args):
    # One thread for all, before the libraries look.
    os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    encoder, texts = globals()[f"encoder_{args.peer}"](args.model), list(lines(args.texts))
    started = time.perf_counter()
    ids = encoder(texts)
    seconds = time.perf_counter() - started
    with open(args.ids, "w", encoding="ascii") as file:
        file.writelines(" ".join(map(str, one)) + "\n" for one in ids)
    return {"version": importlib.metadata.version(args.peer), "seconds": seconds}


def compare(args):
    ours, theirs = (pieces(path) for path in (args.ours, args.theirs))
    return {"equal": ours == theirs, "common": len(set(ours) & set(theirs)), "entries": len(theirs)}


def pieces(path):
    """The pieces of a model in the order of their ids, and of a `tokenizer.json` the merges."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.startswith("{"):
        model = json.loads(text)["model"]
        return sorted(model["vocab"], key=model["vocab"].get) + [" ".join(pair) for pair in model["merges"]]
    head, *rows = [list(map(int, line.split())) for line in text.splitlines()]
    piece = {number: chr(character) for character, number in rows[: head[0]]}
    for left, right, joined in rows[head[0] : sum(head)]:
        piece[joined] = piece[left] + piece[right]
    return [piece[number] for number in sorted(piece)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(required=True)
    for task in (train, encode, compare):
        command = tasks.add_parser(task.__name__)
        for name in ["ours", "theirs"] if task is compare else ["peer", "texts", "model"]:
            command.add_argument(name)
        if task is train:
            command.add_argument("--vocab-size", type=int, required=True)
        elif task is encode:
            command.add_argument("ids")
        command.set_defaults(task=task)
    args = parser.parse_args()
    print(json.dumps(args.task(args)))


if __name__ == "__main__":
    main()
