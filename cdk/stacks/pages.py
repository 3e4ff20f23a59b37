"""CloudFront in front of the web: status pages and static files are answered near to who asks, everything else passes."""

from aws_cdk import aws_certificatemanager, aws_cloudfront, aws_cloudfront_origins
from constructs import Construct

from cdk.config import Config
from cdk.stacks.core import CoreStack
from cdk.stacks.data import DataStack
from cdk.stacks.estate_stack import EstateStack, accept

CACHED = ("/status/*", "/static/*")


class PagesStack(EstateStack):
    """Its own name is `pages.<domain>`: the ALB keeps the domain, so that this can be switched on and off without an outage."""

    def __init__(self, scope: Construct, config: Config, core: CoreStack, data: DataStack) -> None:
        super().__init__(scope, "pages", config)
        host = f"pages.{config.domain}"
        origin = aws_cloudfront_origins.HttpOrigin(
            config.domain, protocol_policy=aws_cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[aws_cloudfront.OriginSslPolicy.TLS_V1_2],
        )  # fmt: skip
        https = aws_cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS
        cached = aws_cloudfront.BehaviorOptions(
            origin=origin, viewer_protocol_policy=https, cache_policy=aws_cloudfront.CachePolicy.USE_ORIGIN_CACHE_CONTROL_HEADERS,
        )  # fmt: skip
        passed = aws_cloudfront.BehaviorOptions(
            origin=origin, viewer_protocol_policy=https, cache_policy=aws_cloudfront.CachePolicy.CACHING_DISABLED,
            allowed_methods=aws_cloudfront.AllowedMethods.ALLOW_ALL,
            origin_request_policy=aws_cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        )  # fmt: skip
        certificate = aws_certificatemanager.Certificate.from_certificate_arn(self, "Certificate", config.cloudfront_certificate)
        distribution = aws_cloudfront.Distribution(
            self, "Pages", default_behavior=passed, additional_behaviors=dict.fromkeys(CACHED, cached), domain_names=[host],
            certificate=certificate, minimum_protocol_version=aws_cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            log_bucket=data.logs, log_file_prefix="pages/", http_version=aws_cloudfront.HttpVersion.HTTP2_AND_3,
        )  # fmt: skip
        self.add_dependency(core, "it is the origin")
        accept(distribution, PAGES_REASONS)


PAGES_REASONS = {
    "AwsSolutions-CFR1": "Status pages are for everybody.",
    "AwsSolutions-CFR2": "Reads of public pages, cached; the API behind has limits of its own.",
}
