"""The package of a Lambda: its folder and `core/contracts` at their paths in the repository, and its dependencies as `uv.lock` has them.

No Docker: all of them are wheels, for the architecture of the function, and byte code is the same on every one. The build is
reproducible, and named by its sources.
"""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling, aws_lambda

from cdk import byte_code, shared_libraries

ROOT: Final = Path(__file__).parents[1]
PLATFORMS: Final = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
FUNCTIONS: Final = ("alert_dispatch", "ping")
RUNTIME: Final = aws_lambda.Runtime.PYTHON_3_13
PYTHON: Final = str(RUNTIME.name).removeprefix("python")
OURS: Final = ("core", "lambdas")
BUILDERS: Final = ("cdk/bundle.py", "cdk/byte_code.py", "cdk/shared_libraries.py")
WITHOUT_WHEEL: Final = ("oncalendar",)
"""Published as source alone; pure Python, so it is built for any architecture."""
CALLED_SERVICES: Final = frozenset({"dynamodb", "events", "s3", "secretsmanager", "ses", "sesv2", "sns", "sqs", "sts"})
"""botocore describes 400 services, 27 MB; of the others nothing is needed."""
CHALICE_AT_RUN_TIME: Final = ("__init__.py", "app.py", "analyzer.py", "py.typed")
"""What Chalice itself packs of Chalice; the rest is its command."""


def sources(function: str) -> list[Path]:
    """The folders and files of ours in the package: everything under `lambdas` that is not another function."""
    others = {other for other in FUNCTIONS if other != function}
    folders = [
        path for path in sorted((ROOT / "lambdas").iterdir()) if path.is_dir() and path.name not in {*others, "__pycache__"}
    ]
    return [ROOT / "lambdas/__init__.py", ROOT / "core/__init__.py", *folders, ROOT / "core/contracts"]


def build(function: str, architecture: str, target: Path) -> None:
    """Make the package in the empty folder `target`.

    Raises:
        byte_code.WrongPython: this is not the Python of the runtime.
        shared_libraries.UnknownLibrary: a dependency has a library that Lambda could not load.
        subprocess.CalledProcessError: a dependency has no wheel for the architecture, or cannot be fetched or compiled.
    """
    byte_code.require_python(PYTHON)
    requirements = (ROOT / "lambdas" / function / "requirements.txt").read_text(encoding="utf-8").splitlines()
    chalice = [line for line in requirements if line.startswith("chalice")]
    with tempfile.TemporaryDirectory() as folder:
        locked = Path(folder) / "locked.txt"
        locked.write_text(_uv("export", "--frozen", "--no-hashes", "--no-emit-project", "--no-dev", "--quiet"), encoding="utf-8")
        install = ["pip", "install", "--quiet", "--target", str(target), "--python-platform", PLATFORMS[architecture]]
        install += ["--python-version", PYTHON, "--only-binary", ":all:", "--no-compile-bytecode", "--constraint", str(locked)]
        install += [part for name in WITHOUT_WHEEL for part in ("--no-binary", name)]
        _uv(*install, *(line for line in requirements if line not in chalice))
        if chalice:  # its dependencies are those of its command
            _uv(*install, "--no-deps", *chalice)
    _copy(sources(function), target)
    for path in _useless(target):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for library in target.rglob("*.so"):
        shared_libraries.strip(library)
    byte_code.compile_package(target, keep_sources_of=OURS)


def digest(function: str, architecture: str) -> str:
    """A name for the package that changes with its sources, its lock and its architecture."""
    sha = hashlib.sha256(architecture.encode())
    builders = [ROOT / builder for builder in BUILDERS]
    for path in [*_files(sources(function)), ROOT / "lambdas" / function / "requirements.txt", ROOT / "uv.lock", *builders]:
        sha.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def code(function: str, architecture: str) -> aws_lambda.AssetCode:
    """The package as an asset that the CDK builds when it needs it."""
    options = BundlingOptions(image=DockerImage.from_registry("never-used"), local=UvBundling(function, architecture))
    return aws_lambda.Code.from_asset(
        str(ROOT / "lambdas" / function),
        asset_hash=digest(function, architecture),
        asset_hash_type=AssetHashType.CUSTOM,
        bundling=options,
    )


@jsii.implements(ILocalBundling)
class UvBundling:
    """Builds with uv instead of in a container."""

    def __init__(self, function: str, architecture: str) -> None:
        self._function, self._architecture = function, architecture

    def try_bundle(self, output_dir: str, options: Any = None, **_: Any) -> bool:  # noqa: ARG002  (the CDK's interface)
        """Build; the answer says that no container is needed."""
        build(self._function, self._architecture, Path(output_dir))
        return True


def _uv(*arguments: str) -> str:
    """Run uv; without colours, which the CDK's command asks of everything that it starts and which no list of requirements may have."""
    found = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    return subprocess.run([found, "--color", "never", *arguments], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def _copy(paths: Iterable[Path], target: Path) -> None:
    for path in _files(paths):
        copied = target / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copied)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    """Python sources and data; schemas are for people and the registry."""
    for path in paths:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        kept = (file for file in found if file.is_file() and not {"__pycache__", ".chalice", "schemas"} & set(file.parts))
        yield from (file for file in kept if file.name != "requirements.txt")


def _useless(target: Path) -> list[Path]:
    """Commands, lists of what was installed where, services and resources that are never called, and the command of Chalice."""
    found = [
        target / "bin",
        target / "aws_lambda_powertools/event_handler/openapi/swagger_ui",
        target / "boto3/examples",
        target / "boto3/data",
        target / "apprise/i18n",
        *target.glob("*.dist-info/RECORD"),
        *target.glob("*.dist-info/direct_url.json"),
    ]
    if (target / "chalice").is_dir():
        found += [path for path in (target / "chalice").iterdir() if path.name not in CHALICE_AT_RUN_TIME]
    described = target / "botocore/data"
    if described.is_dir():
        found += [path for path in described.iterdir() if path.is_dir() and path.name not in CALLED_SERVICES]
    return [path for path in found if path.exists()]
