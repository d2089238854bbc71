# EcoChain's public zone: who may issue certificates for it, and where its names lead.

locals {
  tags = {
    Project     = var.project
    Environment = "global"
    ManagedBy   = "terraform"
  }
}

resource "aws_route53_zone" "this" {
  #checkov:skip=CKV2_AWS_38:DNSSEC needs the registrar's part first; a chain without it takes the domain off the net
  #checkov:skip=CKV2_AWS_39:query logs hold who asked for what; nobody reads them

  name    = var.domain
  comment = "${var.project}'s public zone"

  tags = merge(local.tags, { Name = var.domain })
}

# Only AWS issues certificates for the domain.
resource "aws_route53_record" "caa" {
  zone_id = aws_route53_zone.this.zone_id
  name    = var.domain
  type    = "CAA"
  ttl     = 3600
  records = ["0 issue \"amazon.com\"", "0 issuewild \"amazon.com\"", "0 iodef \"mailto:security@${var.domain}\""]
}

# A and AAAA: the distributions answer on both.
resource "aws_route53_record" "alias" {
  for_each = { for pair in setproduct(keys(var.aliases), ["A", "AAAA"]) : "${pair[0]}-${pair[1]}" => { name = pair[0], type = pair[1] } }

  zone_id = aws_route53_zone.this.zone_id
  name    = "${each.value.name}.${var.domain}"
  type    = each.value.type

  alias {
    name                   = var.aliases[each.value.name].domain_name
    zone_id                = var.aliases[each.value.name].zone_id
    evaluate_target_health = false
  }
}

resource "aws_route53_record" "name" {
  for_each = var.names

  zone_id = aws_route53_zone.this.zone_id
  name    = "${each.key}.${var.domain}"
  type    = "CNAME"
  ttl     = 60 # a failover is not to wait for caches
  records = [each.value]
}
