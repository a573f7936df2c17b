"""Lists the public items of a crate from rustdoc's JSON, one a line, sorted."""

import json
import sys


class Crate:
    def __init__(self, document):
        self.index = document["index"]
        self.paths = document["paths"]
        self.root = document["root"]
        self.lines = set()

    def item(self, number):
        return self.index.get(str(number))

    # ---- walking ----

    def walk(self, number, path):
        item = self.item(number)
        if item is None:
            return
        kind, inner = next(iter(item["inner"].items()))
        if kind == "use":
            self.walk_use(inner, path)
            return
        name = item["name"]
        here = f"{path}::{name}" if path else name
        if kind == "module":
            if path:
                self.line(f"mod {here}")
            for each in inner["items"]:
                self.walk(each, here)
        elif kind in ("struct", "enum", "union"):
            self.walk_type(kind, inner, here)
        elif kind == "trait":
            self.walk_trait(inner, here)
        elif kind == "function":
            self.line(self.function(inner, here))
        elif kind == "type_alias":
            generics = self.generics(inner["generics"])
            self.line(f"type {here}{generics} = {self.type(inner['type'])}")
        elif kind in ("constant", "static"):
            self.line(f"const {here}: {self.type(inner['type'])}")
        elif kind == "macro" or kind == "proc_macro":
            self.line(f"macro {here}!")

    def walk_use(self, inner, path):
        target = self.item(inner["id"]) if inner["id"] is not None else None
        if target is None:
            self.line(f"use {path}::{inner['name']} = {inner['source']}")
        elif inner["is_glob"]:
            for each in next(iter(target["inner"].values()))["items"]:
                self.walk(each, path)
        else:
            name, target["name"] = target["name"], inner["name"]
            self.walk(inner["id"], path)
            target["name"] = name

    def walk_type(self, kind, inner, here):
        self.line(f"{kind} {here}{self.generics(inner['generics'])}")
        if kind == "enum":
            for each in inner["variants"]:
                self.variant(self.item(each), here)
        else:
            self.fields(inner["kind"], here)
        for each in inner["impls"]:
            self.walk_impl(self.item(each), here)

    def variant(self, item, here):
        if item is None:
            return
        path = f"{here}::{item['name']}"
        kind = item["inner"]["variant"]["kind"]
        if isinstance(kind, dict) and "tuple" in kind:
            fields = ", ".join(
                self.type(self.item(each)["inner"]["struct_field"]) if each is not None else "_"
                for each in kind["tuple"]
            )
            self.line(f"variant {path}({fields})")
            return
        self.line(f"variant {path}")
        if isinstance(kind, dict) and "struct" in kind:
            for each in kind["struct"]["fields"]:
                self.field(self.item(each), path)

    def fields(self, kind, here):
        if isinstance(kind, dict):
            fields = kind["plain"]["fields"] if "plain" in kind else kind.get("tuple", [])
            for each in fields:
                if each is not None:
                    self.field(self.item(each), here)

    def field(self, item, here):
        if item is not None:
            self.line(f"field {here}::{item['name']}: {self.type(item['inner']['struct_field'])}")

    def walk_impl(self, item, here):
        if item is None:
            return
        block = item["inner"]["impl"]
        if block["is_synthetic"] or block["blanket_impl"]:
            return
        if block["trait"] is not None:
            # Its items are the trait's.
            generics = self.generics(block["generics"])
            trait = self.path(block["trait"])
            # A part of every derived PartialEq, of no use by itself.
            if trait == "StructuralPartialEq":
                return
            self.line(f"impl{generics} {trait} for {self.type(block['for'])}{self.where(block['generics'])}")
            return
        for each in block["items"]:
            member = self.item(each)
            if member is None or member["visibility"] != "public":
                continue
            kind, inner = next(iter(member["inner"].items()))
            path = f"{here}::{member['name']}"
            if kind == "function":
                self.line(self.function(inner, path))
            elif kind == "assoc_const":
                self.line(f"const {path}: {self.type(inner['type'])}")

    def walk_trait(self, inner, here):
        bounds = self.bounds(inner["bounds"])
        bounds = f": {bounds}" if bounds else ""
        self.line(f"trait {here}{self.generics(inner['generics'])}{bounds}")
        for each in inner["items"]:
            member = self.item(each)
            if member is None:
                continue
            kind, part = next(iter(member["inner"].items()))
            path = f"{here}::{member['name']}"
            if kind == "function":
                default = " { .. }" if part["has_body"] else ""
                self.line(self.function(part, path) + default)
            elif kind == "assoc_type":
                bounds = self.bounds(part["bounds"])
                self.line(f"type {path}" + (f": {bounds}" if bounds else ""))
            elif kind == "assoc_const":
                self.line(f"const {path}: {self.type(part['type'])}")
        for each in inner["implementations"]:
            block = self.item(each)
            if block is not None and not block["inner"]["impl"]["is_synthetic"]:
                self.walk_impl(block, here)

    def line(self, text):
        self.lines.add(text)

    # ---- signatures ----

    def function(self, inner, here):
        header, signature = inner["header"], inner["sig"]
        words = [word for word in ("const", "async", "unsafe") if header.get(f"is_{word}")]
        inputs = ", ".join(self.input(name, kind) for name, kind in signature["inputs"])
        output = f" -> {self.type(signature['output'])}" if signature["output"] else ""
        generics = self.generics(inner["generics"])
        return " ".join([*words, f"fn {here}{generics}({inputs}){output}{self.where(inner['generics'])}"])

    def input(self, name, kind):
        if name != "self":
            return f"{name}: {self.type(kind)}"
        if kind == {"generic": "Self"}:
            return "self"
        reference = kind.get("borrowed_ref")
        if reference and reference["type"] == {"generic": "Self"}:
            return "&mut self" if reference["is_mutable"] else "&self"
        return f"self: {self.type(kind)}"

    def generics(self, generics):
        params = [self.param(each) for each in generics["params"]]
        params = [each for each in params if each]
        return f"<{', '.join(params)}>" if params else ""

    def param(self, param):
        kind, inner = next(iter(param["kind"].items()))
        if kind == "lifetime":
            return param["name"]
        if kind == "const":
            return f"const {param['name']}: {self.type(inner['type'])}"
        # `impl Trait` in argument position is in the argument itself.
        if inner["is_synthetic"]:
            return ""
        bounds = self.bounds(inner["bounds"])
        return param["name"] + (f": {bounds}" if bounds else "")

    def where(self, generics):
        parts = []
        for predicate in generics["where_predicates"]:
            kind, inner = next(iter(predicate.items()))
            if kind == "bound_predicate":
                parts.append(f"{self.type(inner['type'])}: {self.bounds(inner['bounds'])}")
            elif kind == "lifetime_predicate":
                parts.append(f"{inner['lifetime']}: {' + '.join(inner['outlives'])}")
        return f" where {', '.join(parts)}" if parts else ""

    def bounds(self, bounds):
        return " + ".join(filter(None, map(self.bound, bounds)))

    def bound(self, bound):
        kind, inner = next(iter(bound.items()))
        if kind == "trait_bound":
            maybe = "?" if inner["modifier"] == "maybe" else ""
            return f"{maybe}{self.path(inner['trait'])}"
        if kind == "outlives":
            return inner
        return ""

    def type(self, kind):
        if kind is None:
            return "()"
        name, inner = next(iter(kind.items()))
        if name == "resolved_path":
            return self.path(inner)
        if name in ("generic", "primitive"):
            return "!" if inner == "never" else inner
        if name == "borrowed_ref":
            lifetime = f"{inner['lifetime']} " if inner["lifetime"] else ""
            mutable = "mut " if inner["is_mutable"] else ""
            return f"&{lifetime}{mutable}{self.type(inner['type'])}"
        if name == "tuple":
            return f"({', '.join(map(self.type, inner))})"
        if name == "slice":
            return f"[{self.type(inner)}]"
        if name == "array":
            return f"[{self.type(inner['type'])}; {inner['len']}]"
        if name == "impl_trait":
            return f"impl {self.bounds(inner)}"
        if name == "dyn_trait":
            traits = [self.path(each["trait"]) for each in inner["traits"]]
            return "dyn " + " + ".join(traits + ([inner["lifetime"]] if inner["lifetime"] else []))
        if name == "qualified_path":
            # rustdoc leaves the trait's path empty where it is not written out.
            written = inner["trait"] and inner["trait"]["path"]
            if not written:
                return f"{self.type(inner['self_type'])}::{inner['name']}"
            return f"<{self.type(inner['self_type'])} as {self.path(inner['trait'])}>::{inner['name']}"
        if name == "function_pointer":
            signature = inner["sig"]
            inputs = ", ".join(self.type(each) for _, each in signature["inputs"])
            output = f" -> {self.type(signature['output'])}" if signature["output"] else ""
            return f"fn({inputs}){output}"
        return name

    def path(self, path):
        arguments = path.get("args")
        name = path.get("path") or path.get("name")
        if not arguments:
            return name
        kind, inner = next(iter(arguments.items()))
        if kind == "parenthesized":
            inputs = ", ".join(map(self.type, inner["inputs"]))
            output = f" -> {self.type(inner['output'])}" if inner["output"] else ""
            return f"{name}({inputs}){output}"
        if kind != "angle_bracketed":
            return name
        parts = [self.argument(each) for each in inner["args"]]
        parts += [self.constraint(each) for each in inner["constraints"]]
        return f"{name}<{', '.join(parts)}>" if parts else name

    def argument(self, argument):
        if isinstance(argument, str):
            return "_"
        kind, inner = next(iter(argument.items()))
        if kind == "type":
            return self.type(inner)
        return inner if kind == "lifetime" else inner.get("expr", "_")

    def constraint(self, constraint):
        kind, inner = next(iter(constraint["binding"].items()))
        if kind == "equality":
            return f"{constraint['name']} = {self.type(inner['type'])}"
        return f"{constraint['name']}: {self.bounds(inner)}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        crate = Crate(json.load(file))
    crate.walk(crate.root, "")
    # What an item has stands below it.
    for line in sorted(crate.lines, key=lambda line: (key(line), line)):
        print(line)


def key(line):
    words = line.split(" ")
    if words[0].startswith("impl"):
        subject = line.split(" for ", 1)[1].split(" where ")[0]
        return f"~{subject}"
    name = next(word for word in words[1:] if "::" in word or word == words[-1])
    return name.split("(")[0].split("<")[0].rstrip(":")


main()
