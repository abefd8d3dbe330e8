"""The rules that without_rule takes out stand where it looks for them (it runs with --full)."""
import importlib.machinery
import importlib.util
import os

HERE = os.path.dirname(os.path.abspath(__file__))


def load_tool():
    loader = importlib.machinery.SourceFileLoader("without_rule", f"{HERE}/without_rule")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("without_rule", loader))
    loader.exec_module(module)
    return module


def test_each_rule_is_where_it_was():
    tool = load_tool()
    moved = []
    for rule, (source, has, *_) in tool.ALL.items():
        with open(f"{tool.ROOT}/{source}", encoding="utf-8") as f:
            if f.read().count(has) != 1:
                moved.append(rule)
    assert len(tool.ALL) > 50 and moved == []
