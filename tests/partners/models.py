from django.db import models


class Partner(models.Model):
    client = models.OneToOneField("pkce_auth.Client", models.CASCADE, primary_key=True)
    contract = models.CharField(max_length=40)

    def __str__(self):
        return self.contract
