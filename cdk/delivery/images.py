"""What an image weighs where it is kept."""

from typing import Any, Final

from cdk.delivery.ecs import DeliveryFailed

LIMIT_MB: Final = 250


def weigh(client: Any, env: str, tag: str) -> float:
    """Megabytes of a pushed image, as ECR keeps it and a task loads it: compressed.

    Raises:
        DeliveryFailed: it is larger than an image may be.
    """
    answer = client.describe_images(repositoryName=f"{env}-uptimemonitor", imageIds=[{"imageTag": tag}])
    size_mb = float(answer["imageDetails"][0]["imageSizeInBytes"]) / 1e6
    if size_mb > LIMIT_MB:
        raise DeliveryFailed(f"the image {tag} has {size_mb:.0f} MB, {LIMIT_MB} at most")
    return size_mb
