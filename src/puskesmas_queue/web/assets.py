"""Static files, kept by browsers for as long as their address carries their hash."""

import os

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

ONE_YEAR_S = 365 * 24 * 3600


class VersionedFiles(StaticFiles):
    """Static files of a package; hidden ones are not served."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Find a file, but none whose name or folder begins with a dot."""
        if any(part.startswith(".") for part in path.replace("\\", "/").split("/")):
            return "", None
        return super().lookup_path(path)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Let a file be kept for good where its address names its content, else asked for anew."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        is_versioned = b"v=" in scope.get("query_string", b"")
        response.headers["cache-control"] = (
            f"public, max-age={ONE_YEAR_S}, immutable" if is_versioned else "no-cache"
        )
        return response
